//! Hints: what a change leaves in the outbox for those who wait.

use serde::{Deserialize, Serialize};

use crate::{JobId, UploadId};

/// "Look at this." A hint carries no state: it may come twice, late or never, and nothing but latency depends on it
/// (invariant 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "snake_case")]
pub enum Hint {
    /// Tasks may have become claimable.
    Tasks,
    /// A job has new events.
    Events {
        /// The job.
        job: JobId,
    },
    /// An upload changed its state.
    Upload {
        /// The upload.
        upload: UploadId,
    },
}
