//! Durable changes: the rows of `job_events`.

use serde::{Deserialize, Serialize};

use crate::{
    EventSeq, Failure, JobId, JobState, RenditionInfo, SourceInfo, TaskId, TaskKind, TaskState, Timestamp, UploadId,
    UploadState,
};

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// The job entered a state.
    JobState {
        /// The state.
        state: JobState,
        /// Why, if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// The job's upload entered a state.
    UploadState {
        /// The state.
        state: UploadState,
        /// Why, if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// The plan was made.
    Planned {
        /// What the probe found.
        source: SourceInfo,
        /// What will be made.
        renditions: Vec<RenditionInfo>,
        /// How many tasks there are in all.
        task_count: i64,
    },
    /// A task entered a state.
    TaskState {
        /// The task.
        task: TaskId,
        /// What it does.
        task_kind: TaskKind,
        /// Which one of its kind.
        index: i32,
        /// The state.
        state: TaskState,
        /// The attempt, from 1.
        attempt: i32,
        /// Why the attempt ended, if it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// The video can be played.
    Playable,
}

/// One durable change with its place in the job's order.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// The job.
    pub job: JobId,
    /// Its upload.
    pub upload: UploadId,
    /// The number within the job.
    pub seq: EventSeq,
    /// The number within the tenant, for those who watch everything.
    pub tenant_seq: EventSeq,
    /// When it was committed.
    pub at: Timestamp,
    /// What changed.
    pub change: Change,
}
