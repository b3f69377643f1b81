//! The metrics of uploads.

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const BYTES: &str = "reelway_upload_bytes_total";
const DIRECT_BYTES: &str = "reelway_upload_direct_bytes_total";
const COMMIT_SECONDS: &str = "reelway_upload_chunk_commit_seconds";
const STREAMS_OPEN: &str = "reelway_uploads_active";
const RESUMES: &str = "reelway_upload_resumes_total";
const CONFLICTS: &str = "reelway_upload_offset_conflicts_total";
const DURATION_SECONDS: &str = "reelway_upload_duration_seconds";
const CREATED: &str = "reelway_uploads_created_total";
const COMPLETED: &str = "reelway_uploads_completed_total";
const FAILED: &str = "reelway_uploads_failed_total";
const ABORTED: &str = "reelway_uploads_aborted_total";
const TAILS: &str = "reelway_upload_tails_total";
const TAILS_DROPPED: &str = "reelway_upload_tails_dropped_total";
const COUNTERS: [&str; 10] = [
    BYTES,
    DIRECT_BYTES,
    RESUMES,
    CONFLICTS,
    CREATED,
    COMPLETED,
    FAILED,
    ABORTED,
    TAILS,
    TAILS_DROPPED,
];

/// Says what each metric is. Every counter is there from the start: of one that appears with its first event, nobody sees
/// that event.
pub(crate) fn describe() {
    for name in COUNTERS {
        counter!(name).increment(0);
    }
    describe_counter!(BYTES, "Bytes that became durable.");
    describe_counter!(
        DIRECT_BYTES,
        "Bytes that clients put into the bucket themselves and that count."
    );
    describe_histogram!(
        COMMIT_SECONDS,
        "Seconds from the begin of a sync until its offset was recorded."
    );
    describe_histogram!(
        DURATION_SECONDS,
        "Seconds from the creation of an upload until it was complete."
    );
    describe_gauge!(STREAMS_OPEN, "Writers that are open now.");
    describe_counter!(RESUMES, "Writers that went on from an offset above zero.");
    describe_counter!(CONFLICTS, "Chunks that began after the offset that was due.");
    describe_counter!(CREATED, "Uploads that were created.");
    describe_counter!(COMPLETED, "Uploads that were completed.");
    describe_counter!(FAILED, "Uploads whose bytes were not what was promised.");
    describe_counter!(ABORTED, "Uploads that their clients gave up.");
    describe_counter!(TAILS, "Tails that were sent ahead of their files.");
    describe_counter!(TAILS_DROPPED, "Tails that were not what their files end with.");
}

pub(crate) fn bytes() -> Counter {
    counter!(BYTES)
}

pub(crate) fn direct_bytes() -> Counter {
    counter!(DIRECT_BYTES)
}

pub(crate) fn commit_seconds() -> Histogram {
    histogram!(COMMIT_SECONDS)
}

pub(crate) fn duration_seconds() -> Histogram {
    histogram!(DURATION_SECONDS)
}

pub(crate) fn streams_open() -> Gauge {
    gauge!(STREAMS_OPEN)
}

pub(crate) fn resumes() -> Counter {
    counter!(RESUMES)
}

pub(crate) fn conflicts() -> Counter {
    counter!(CONFLICTS)
}

pub(crate) fn created() -> Counter {
    counter!(CREATED)
}

pub(crate) fn completed() -> Counter {
    counter!(COMPLETED)
}

pub(crate) fn failed() -> Counter {
    counter!(FAILED)
}

pub(crate) fn aborted() -> Counter {
    counter!(ABORTED)
}

pub(crate) fn tails() -> Counter {
    counter!(TAILS)
}

pub(crate) fn tails_dropped() -> Counter {
    counter!(TAILS_DROPPED)
}
