//! All SQL of Reelway: uploads, jobs, tasks, events, outbox and request ids.
//!
//! The catalog is the only truth (invariant 4). Each method is one statement or one transaction; a transaction holds no
//! lock while bytes flow or ffmpeg runs. Locks are always taken in the same order, so that no two transactions wait for
//! each other: a request id, the upload, tasks by ascending id, jobs by ascending id, tenants by ascending id. A change
//! gathers its events, hints and what it does to accounts (`tx.rs`, `quota.rs`) and writes them as it commits, so tenants
//! are locked last, and only for a moment. Claims wait for no task: they pass over those that others hold.

mod api_key;
mod claim;
mod clock;
#[cfg(test)]
mod contract;
mod copy;
mod direct;
mod due;
mod effect;
mod error;
mod event;
mod job;
mod job_end;
mod join;
mod kept;
mod layout;
mod lease;
mod lock;
mod marks;
mod open;
mod outbox;
mod playback;
mod postgres;
mod postpone;
mod publish;
mod quota;
mod quota_deferred;
mod quota_error;
mod quota_tenants;
mod reap;
mod reprieve;
mod request;
mod retention;
mod row;
mod schema;
mod setting;
mod source_left;
mod source_move;
mod source_wish;
mod sql;
mod staged;
mod stats;
mod success;
mod tail;
mod task;
mod tenant;
mod tx;
mod upload;
mod upload_end;
mod upload_file;
mod waiting;
mod webhook;
mod webhook_queue;
mod write;

pub use api_key::{ApiKey, NewApiKey};
pub use claim::Claim;
pub use copy::{Copied, CopyError, copy};
pub use direct::{Counted, DirectPart, DirectParts, Reserved};
pub use effect::Effect;
pub use error::Error;
pub use job::{JobFilter, NewJob};
pub use job_end::{Cancelled, Deleted, Retried};
pub use join::JoinPart;
pub use kept::{Keeper, Kept};
pub use lease::Beat;
pub use marks::{UploadMark, WriterMark};
pub use open::Catalog;
pub use outbox::{Fresh, OutboxBatch};
pub use playback::Playback;
pub use publish::Published;
pub use quota_error::QuotaError;
pub use quota_tenants::{Limit, NewLimits, Quota, QuotaDefaults};
pub use request::{Created, RequestId};
pub use row::{Job, Task, Upload};
pub use schema::Schema;
pub use source_left::SourceLeft;
pub use source_move::Moving;
pub use sql::Dialect;
pub use stats::{Backlog, Connections, Queue};
pub use success::Success;
pub use tail::TailSet;
pub use upload::NewUpload;
pub use upload_end::UploadEnd;
pub use upload_file::EarlierBytes;
pub use webhook_queue::{NextTry, Webhook};
pub use write::{Commit, Opened};

/// What became of a write that names an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It is recorded.
    Done,
    /// Somebody else holds the lease now, or the job ended: nothing was changed.
    LeaseLost,
}
