//! CreateJob.

use prost::Message as _;
use reelway::v1::{self, create_job_request::Processing};
use reelway_catalog::{Created, Job, NewJob, RequestId};
use reelway_domain::{
    DEFAULT_PRESET, Failure, FieldViolation, JobId, Ladder, Reason, SourceRules, UploadId, preset, preset_names,
};
use reelway_rpc::request::{
    all_valid, parse_enum, parse_id, parse_ladder, parse_priority, parse_request_id, violation,
};
use sha2::{Digest as _, Sha256};

use crate::caller::Caller;

/// A request whose every field is right.
struct Asked {
    upload: UploadId,
    new: NewJob,
    request: Option<RequestId>,
}

impl Caller<'_> {
    /// Creates a job, or finds the one that the same request created before.
    pub(crate) async fn create(&self, request: &v1::CreateJobRequest) -> Result<Job, Failure> {
        let Asked { upload, new, request } = parse(request, &self.jobs.source_rules)?;
        let created = self
            .jobs
            .catalog
            .create_job(self.tenant, upload, &new, request.as_ref())
            .await?;
        if let Some(created) = created {
            return Ok(Created::into_inner(created));
        }
        if self.jobs.catalog.upload(self.tenant, upload).await?.is_none() {
            return Err(Failure::new(Reason::UploadNotFound, "there is no such upload").with("uploadId", upload));
        }
        let message = "the job that this request created was deleted; use a new request id";
        Err(Failure::new(Reason::JobNotFound, message))
    }
}

fn parse(request: &v1::CreateJobRequest, rules: &SourceRules) -> Result<Asked, Failure> {
    let mut violations = Vec::new();
    let upload = parse_id("upload_id", &request.upload_id, &mut violations);
    let processing = parse_processing(request.processing.as_ref(), &mut violations);
    let priority = parse_priority(request.priority, &mut violations);
    let source_action = parse_enum("source_action", request.source_action, &mut violations);
    let request_id = parse_request_id(&request.request_id, &mut violations).map(|id| RequestId {
        id: id.to_string(),
        method: "CreateJob",
        request_hash: hash(request),
    });
    all_valid(violations)?;
    // A field without a value has a violation, so all of them are there now.
    let (Some(upload), Some((preset, ladder))) = (upload, processing) else {
        return Err(Failure::new(Reason::Internal, "a wrong field was not reported"));
    };
    let new = NewJob {
        id: JobId::new(),
        source_action: rules.decide(&preset, source_action)?,
        preset,
        ladder,
        priority,
    };
    Ok(Asked {
        upload,
        new,
        request: request_id,
    })
}

/// The preset's name, empty for a ladder of the caller's own, and the ladder.
fn parse_processing(asked: Option<&Processing>, violations: &mut Vec<FieldViolation>) -> Option<(String, Ladder)> {
    let name = match asked {
        Some(Processing::Ladder(ladder)) => return Some((String::new(), parse_ladder(ladder, violations)?)),
        Some(Processing::Preset(name)) if !name.is_empty() => name,
        Some(Processing::Preset(_)) | None => DEFAULT_PRESET,
    };
    let ladder = preset(name);
    if ladder.is_none() {
        let description = format!("must be one of {}", preset_names().join(", "));
        violations.push(violation("preset", description));
    }
    Some((name.to_owned(), ladder?))
}

/// What tells a repeated request from another one under the same id.
fn hash(request: &v1::CreateJobRequest) -> [u8; 32] {
    let asked = v1::CreateJobRequest {
        request_id: String::new(),
        ..request.clone()
    };
    Sha256::digest(asked.encode_to_vec()).into()
}
