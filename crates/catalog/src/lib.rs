//! All SQL of Reelway: uploads, jobs, tasks, events, outbox and request ids.
//!
//! The catalog is the only truth (invariant 4). Each method is one statement or one transaction; a transaction holds no
//! lock while bytes flow or ffmpeg runs. Locks are always taken in the same order, so that no two transactions wait for
//! each other: a request id, the upload, each job's tasks by ascending id, jobs by ascending id, the tenant.

mod claim;
#[cfg(test)]
mod contract;
mod effect;
mod error;
mod event;
mod job;
mod job_end;
mod lock;
mod open;
mod outbox;
mod playback;
mod reap;
mod request;
mod row;
mod sql;
mod stats;
mod task;
mod upload;
mod upload_end;
mod write;

pub use claim::{Beat, Claim};
pub use effect::{Effect, Published};
pub use error::Error;
pub use job::{JobFilter, NewJob};
pub use job_end::{Cancelled, Deleted, Retried};
pub use open::Catalog;
pub use outbox::OutboxBatch;
pub use playback::Playback;
pub use request::{Created, RequestId};
pub use row::{Job, Task, Upload};
pub use sql::Dialect;
pub use stats::Queue;
pub use upload::NewUpload;
pub use upload_end::UploadEnd;
pub use write::{Commit, Opened};

/// What became of a write that names an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It is recorded.
    Done,
    /// Somebody else holds the lease now, or the job ended: nothing was changed.
    LeaseLost,
}
