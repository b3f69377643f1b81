//! What a worker measures. In the names a job is one task of a job, as `kind` says.

use std::time::Duration;

use reelway_catalog::{Claim, Task};
use reelway_domain::TaskKind;

/// From the moment in which a job waited for nothing but a worker to its first task's start, by the database's clock.
const QUEUE_WAIT: &str = "reelway_job_queue_wait_seconds";
/// How long an attempt took.
const DURATION: &str = "reelway_job_duration_seconds";
/// What came of attempts.
const ATTEMPTS: &str = "reelway_job_attempts_total";
/// Seconds of source that an encoding process makes in a second.
const SPEED: &str = "reelway_transcode_speed_ratio";

/// How many tasks may run at the same time.
const SLOTS: &str = "reelway_worker_slots";
/// How many do.
const RUNNING: &str = "reelway_worker_tasks_running";

/// Bytes of sources that were fetched from buckets.
const SOURCE_FETCHED: &str = "reelway_worker_source_fetched_bytes_total";
/// Blocks of sources that were wanted and there, and that had to be fetched.
const SOURCE_HITS: &str = "reelway_worker_source_cache_hits_total";
const SOURCE_MISSES: &str = "reelway_worker_source_cache_misses_total";
/// Blocks that were removed to make room for others.
const SOURCE_EVICTIONS: &str = "reelway_worker_source_cache_evictions_total";
/// What all blocks take of the disk.
const SOURCE_BYTES: &str = "reelway_worker_source_cache_bytes";

/// A worker begins. Its counters are there from now on: of one that appears with its first event, nobody sees that event.
#[expect(clippy::cast_precision_loss, reason = "no worker has 2^53 slots")]
pub(crate) fn begin(slots: usize) {
    metrics::gauge!(SLOTS).set(slots as f64);
    metrics::gauge!(RUNNING).set(0.0);
    for counter in [SOURCE_FETCHED, SOURCE_HITS, SOURCE_MISSES, SOURCE_EVICTIONS] {
        metrics::counter!(counter).increment(0);
    }
    source_cache_bytes(0);
    for kind in TaskKind::ALL {
        for outcome in ["succeeded", "failed", "lease_lost"] {
            metrics::counter!(ATTEMPTS, "kind" => kind.as_str(), "outcome" => outcome).increment(0);
        }
    }
}

/// A task that runs, until it is dropped.
pub(crate) struct Running(metrics::Gauge);

/// A task begins to run.
pub(crate) fn running() -> Running {
    let running = metrics::gauge!(RUNNING);
    running.increment(1.0);
    Running(running)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A task was claimed.
pub(crate) fn started(claim: &Claim) {
    if claim.task.kind == TaskKind::Probe
        && claim.task.attempt == 1
        && let (Some(started), Some(complete)) = (claim.job.started_at, claim.upload.completed_at)
    {
        let ready = complete.0.max(claim.job.created_at.0);
        let waited = Duration::from_millis(u64::try_from(started.0 - ready).unwrap_or(0));
        metrics::histogram!(QUEUE_WAIT).record(waited.as_secs_f64());
    }
}

/// An attempt ended as `outcome` says.
pub(crate) fn ended(task: &Task, outcome: &'static str, worked: Duration) {
    let kind = task.kind.as_str();
    metrics::histogram!(DURATION, "kind" => kind, "outcome" => outcome).record(worked.as_secs_f64());
    metrics::counter!(ATTEMPTS, "kind" => kind, "outcome" => outcome).increment(1);
    if outcome == "succeeded" && task.weight_ms > 0 {
        let made = Duration::from_millis(u64::try_from(task.weight_ms).unwrap_or(0));
        metrics::histogram!(SPEED, "kind" => kind).record(made.as_secs_f64() / worked.as_secs_f64().max(0.001));
    }
}

/// So many bytes of a source came from a bucket.
pub(crate) fn source_fetched(bytes: usize) {
    metrics::counter!(SOURCE_FETCHED).increment(bytes as u64);
}

/// A block of a source was there.
pub(crate) fn source_block_hit() {
    metrics::counter!(SOURCE_HITS).increment(1);
}

/// A block of a source has to be fetched.
pub(crate) fn source_block_missed() {
    metrics::counter!(SOURCE_MISSES).increment(1);
}

/// A block of a source made room for another one.
pub(crate) fn source_block_evicted() {
    metrics::counter!(SOURCE_EVICTIONS).increment(1);
}

/// All blocks together take so much.
#[expect(clippy::cast_precision_loss, reason = "no disk has 2^53 bytes")]
pub(crate) fn source_cache_bytes(bytes: u64) {
    metrics::gauge!(SOURCE_BYTES).set(bytes as f64);
}
