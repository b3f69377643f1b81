//! Hints: what a change leaves in the outbox for those who wait.

use serde::{Deserialize, Serialize};

use crate::{JobId, TraceContext, UploadId, WriterEpoch};

/// "Look at this." A hint carries no state: it may come twice, late or never, and nothing but latency depends on it
/// (invariant 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "snake_case")]
pub enum Hint {
    /// Tasks may have become claimable.
    Tasks {
        /// About how many, so that as many workers are woken.
        count: u32,
    },
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
    /// Somebody took over the writing of an upload: writers before this epoch are to end.
    Writer {
        /// The upload.
        upload: UploadId,
        /// The epoch of the new writer.
        epoch: WriterEpoch,
    },
    /// Somebody wants to go on with an upload: its writer is to make durable what it got, and end.
    WriterAsked {
        /// The upload.
        upload: UploadId,
        /// The epoch of the writer that is meant; later ones are not.
        epoch: WriterEpoch,
    },
}

/// A hint on its way, with the trace that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What to look at.
    #[serde(flatten)]
    pub hint: Hint,
    /// The trace of the call that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

impl From<Hint> for Notice {
    fn from(hint: Hint) -> Self {
        Self { hint, trace: None }
    }
}
