//! What Reelway is about, without I/O: ids, states, the ladder, the task graph, reasons for failure, and limits.

mod codec;
mod event;
mod graph;
mod hint;
mod id;
mod ladder;
pub mod limits;
mod number;
mod reason;
mod resource;
mod source_rules;
mod staged;
mod state;
mod tenant;
mod trace;
mod webhook;

pub use codec::VideoCodec;
pub use event::{Change, JobEvent};
pub use graph::{NewTask, ReadyAt, TaskRef, first_tasks};
pub use hint::{Hint, Notice};
pub use id::{ApiKeyId, IdError, JobId, StoreId, TaskId, UploadId, WebhookId, WorkerId, WriterId};
pub use ladder::{DEFAULT_PRESET, EncoderSpeed, Ladder, NO_PRESET, Rung, RungSize, preset, preset_names};
pub use number::{EventSeq, FileEpoch, LeaseEpoch, Offset, Timestamp, WriterEpoch};
pub use reason::{Failure, FieldViolation, GrpcCode, Reason, Retry};
pub use resource::{Quality, RenditionInfo, Sample, SourceInfo};
pub use source_rules::{SourceRules, SourceRulesError};
pub use staged::{Multipart, Staged, StagedChange, StoredPart, StoredRest};
pub use state::{
    JobState, SourceAction, SourceState, StateError, TaskKind, TaskState, UploadKind, UploadState, WebhookEvent,
};
pub use tenant::{Tenant, TenantError};
pub use trace::{TraceContext, TraceContextError};
pub use webhook::{WebhookUrl, WebhookUrlError};
