//! Every limit of the service, with its unit last in the name.

use std::time::Duration;

/// The longest upload: 5 TiB, what one S3 object may hold.
pub const UPLOAD_BYTES_MAX: i64 = 5 << 40;
/// The most bytes in one chunk message.
pub const CHUNK_BYTES_MAX: usize = 2 << 20;
/// The largest gRPC message that a server decodes; a larger one is refused before it is read.
pub const MESSAGE_BYTES_MAX: usize = CHUNK_BYTES_MAX + (64 << 10);
/// Parts of one upload on their way to a bucket at the same time. Whoever takes the writing over skips as many part numbers.
pub const PARTS_IN_FLIGHT_MAX: usize = 4;
/// The most parts of one upload that a client is to put into a bucket itself and hasn't yet. Whoever takes the writing over passes over
/// their numbers.
pub const DIRECT_PARTS_MAX: usize = 64;
/// So many parts are handed out to such a client if nothing is asked for.
pub const DIRECT_PARTS_DEFAULT: usize = 16;
/// The longest tail that may be sent ahead of the rest of an upload, in bytes: the index of a film of a day.
pub const TAIL_BYTES_MAX: u64 = 64 << 20;
/// How long it may take to send a tail: one that is slower comes ahead of nothing.
pub const TAIL_TIME_MAX: Duration = Duration::from_secs(600);
/// After so many new bytes a long stream starts to make them durable, so that little is sent again after a crash.
pub const COMMIT_BYTES: i64 = 8 << 20;
/// A write stream on which nothing arrives for so long is ended; what came is kept.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(60);
/// How long an unfinished upload is kept after its last byte, unless configured otherwise.
pub const UPLOAD_EXPIRY_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// The longest file name, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 1024;
/// The longest media type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// The most metadata entries.
pub const METADATA_ENTRIES_MAX: usize = 64;
/// The most metadata, keys and values together.
pub const METADATA_BYTES_MAX: usize = 16 << 10;

/// The longest text that a client may keep with an upload, in bytes.
pub const CLIENT_STATE_BYTES_MAX: usize = 16 << 10;
/// The most parts that an upload is put together from.
pub const UPLOAD_PARTS_MAX: usize = 1000;
/// How long an upload grant is good for if nothing is asked for.
pub const GRANT_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
/// The longest that an upload grant may be good for.
pub const GRANT_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// The page size of lists if none is asked for.
pub const PAGE_SIZE_DEFAULT: i32 = 50;
/// The largest page of a list; a larger one is cut to this.
pub const PAGE_SIZE_MAX: i32 = 500;

/// The most rungs of a ladder.
pub const RUNGS_MAX: usize = 10;
/// The smallest rung's shorter side, in pixels.
pub const SHORT_SIDE_PIXELS_MIN: u32 = 16;
/// The largest rung's shorter side, in pixels.
pub const SHORT_SIDE_PIXELS_MAX: u32 = 4320;
/// The lowest bit rate cap of a rung, in bits a second.
pub const RUNG_BITRATE_MIN: u32 = 50_000;
/// The highest bit rate cap of a rung, in bits a second.
pub const RUNG_BITRATE_MAX: u32 = 100_000_000;

/// How long a claim is good for without a heartbeat.
pub const LEASE_TTL: Duration = Duration::from_secs(12);
/// A heartbeat is sent this often: a third of the lease, so that two may be lost.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(4);
/// How often a task may be started before its job fails.
pub const ATTEMPTS_MAX: i32 = 4;
/// The first pause before another attempt; each further one doubles it, with full jitter.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// The longest pause before another attempt.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// An audio track's runs are less than this; the index of a run's task is its track's times this, and its own.
pub const AUDIO_RUNS_MAX: usize = 10_000;
/// The highest priority of a job; the lowest is as far below 0.
pub const PRIORITY_MAX: i32 = 100;
/// The most tasks of one job.
pub const TASKS_PER_JOB_MAX: usize = 20_000;
/// The most of ffmpeg's standard error that is kept, in bytes, from its end.
pub const STDERR_TAIL_BYTES_MAX: usize = 8 << 10;

/// At most so many samples a second are published for one job.
pub const SAMPLES_PER_SECOND_MAX: u32 = 4;
/// A watcher hears at least this often.
pub const BOOKMARK_EVERY: Duration = Duration::from_secs(15);
/// The most jobs in a snapshot of everything.
pub const SNAPSHOT_ENTRIES_MAX: i32 = 500;
/// Loops that are woken also look by themselves, this often.
pub const SCAN_EVERY: Duration = Duration::from_secs(2);
