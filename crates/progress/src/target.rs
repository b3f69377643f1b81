//! What is watched.

use std::fmt;

use reelway::v1::{get_progress_request, watch_progress_request};
use reelway_domain::{Failure, JobId, UploadId};
use reelway_rpc::request::{require_id, violation};

/// What is watched. Its text is what resume tokens are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// One upload or job.
    One(Single),
    /// All that the tenant has.
    Everything,
}

/// One thing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Single {
    /// One upload and its job.
    Upload(UploadId),
    /// One job and its upload.
    Job(JobId),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(Single::Upload(id)) => id.fmt(f),
            Self::One(Single::Job(id)) => id.fmt(f),
            Self::Everything => f.write_str("everything"),
        }
    }
}

/// The target of GetProgress.
pub(crate) fn to_get(asked: Option<&get_progress_request::Target>) -> Result<Single, Failure> {
    match asked {
        Some(get_progress_request::Target::UploadId(id)) => upload(id),
        Some(get_progress_request::Target::JobId(id)) => job(id),
        None => Err(missing("upload_id or job_id must be set")),
    }
}

/// The target of WatchProgress.
pub(crate) fn to_watch(asked: Option<&watch_progress_request::Target>) -> Result<Target, Failure> {
    match asked {
        Some(watch_progress_request::Target::UploadId(id)) => upload(id).map(Target::One),
        Some(watch_progress_request::Target::JobId(id)) => job(id).map(Target::One),
        Some(watch_progress_request::Target::Everything(())) => Ok(Target::Everything),
        None => Err(missing("upload_id, job_id or everything must be set")),
    }
}

fn upload(id: &str) -> Result<Single, Failure> {
    require_id("upload_id", id).map(Single::Upload)
}

fn job(id: &str) -> Result<Single, Failure> {
    require_id("job_id", id).map(Single::Job)
}

fn missing(description: &str) -> Failure {
    Failure::invalid(vec![violation("target", description)])
}
