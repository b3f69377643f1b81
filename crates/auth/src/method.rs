//! What each method takes. Whatever isn't listed here isn't called.

use reelway_domain::{Failure, Reason};

use crate::{Access, Identity, Scope};

/// What one method takes.
#[derive(Debug)]
struct Rule {
    /// `/package.Service/Method`.
    method: &'static str,
    /// One of these scopes.
    scopes: &'static [Scope],
    /// A grant will do as well; the service sees to it that it is for the upload in question.
    grant: bool,
}

/// By a scope.
const fn scope(method: &'static str, scopes: &'static [Scope]) -> Rule {
    Rule {
        method,
        scopes,
        grant: false,
    }
}

/// By a scope, or by a grant for the upload.
const fn scope_or_grant(method: &'static str, scopes: &'static [Scope]) -> Rule {
    Rule {
        method,
        scopes,
        grant: true,
    }
}

const READ_OR_WRITE: &[Scope] = &[Scope::UploadsRead, Scope::UploadsWrite];
const UPLOADS_READ: &[Scope] = &[Scope::UploadsRead];
const UPLOADS_WRITE: &[Scope] = &[Scope::UploadsWrite];
const JOBS_READ: &[Scope] = &[Scope::JobsRead];
const JOBS_WRITE: &[Scope] = &[Scope::JobsWrite];

/// All methods of the contract.
const RULES: [Rule; 20] = [
    scope("/reelway.v1.UploadService/CreateUpload", UPLOADS_WRITE),
    scope_or_grant("/reelway.v1.UploadService/WriteUpload", UPLOADS_WRITE),
    scope_or_grant("/reelway.v1.UploadService/StreamUpload", UPLOADS_WRITE),
    scope_or_grant("/reelway.v1.UploadService/PutUploadTail", UPLOADS_WRITE),
    // Whoever may write an upload must be able to ask how far it is.
    scope_or_grant("/reelway.v1.UploadService/GetUpload", READ_OR_WRITE),
    scope("/reelway.v1.UploadService/ListUploads", UPLOADS_READ),
    scope_or_grant("/reelway.v1.UploadService/CompleteUpload", UPLOADS_WRITE),
    scope("/reelway.v1.UploadService/AbortUpload", UPLOADS_WRITE),
    scope("/reelway.v1.UploadService/CreateUploadGrant", UPLOADS_WRITE),
    scope_or_grant("/reelway.v1.UploadService/CreateUploadParts", UPLOADS_WRITE),
    scope_or_grant("/reelway.v1.UploadService/ReportUploadParts", UPLOADS_WRITE),
    scope("/reelway.v1.JobService/CreateJob", JOBS_WRITE),
    scope("/reelway.v1.JobService/GetJob", JOBS_READ),
    scope("/reelway.v1.JobService/ListJobs", JOBS_READ),
    scope("/reelway.v1.JobService/ListTasks", JOBS_READ),
    scope("/reelway.v1.JobService/CancelJob", JOBS_WRITE),
    scope("/reelway.v1.JobService/RetryJob", JOBS_WRITE),
    scope("/reelway.v1.JobService/DeleteJob", JOBS_WRITE),
    scope("/reelway.v1.ProgressService/GetProgress", JOBS_READ),
    scope("/reelway.v1.ProgressService/WatchProgress", JOBS_READ),
];

/// Whether the caller may call a method at all.
///
/// # Errors
/// `PERMISSION_MISSING` without the scope; `FEATURE_UNAVAILABLE` if there is no such method.
pub(crate) fn allow(method: &str, caller: &Identity) -> Result<(), Failure> {
    let rule = RULES
        .iter()
        .find(|rule| rule.method == method)
        .ok_or_else(|| Failure::new(Reason::FeatureUnavailable, "there is no such method").with("method", method))?;
    let is_allowed = match &caller.access {
        Access::Scoped(scopes) => rule.scopes.iter().any(|scope| scopes.contains(*scope)),
        Access::Grant(_) => rule.grant,
    };
    match rule.scopes.first() {
        Some(scope) if !is_allowed => caller.require(*scope),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
