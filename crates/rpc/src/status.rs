//! Failures as gRPC statuses with `google.rpc` details, and back.

use std::{collections::HashMap, time::Duration};

use reelway_domain::{Failure, FieldViolation, GrpcCode, Reason, Retry};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

/// `google.rpc.ErrorInfo.domain` of every failure: a reason means what our table says only together with it.
pub const ERROR_DOMAIN: &str = "reelway.dev";
/// How long a client should wait before it tries again what was refused for want of capacity.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The key under which a failure tells how long to wait, in milliseconds, where that is known.
pub const RETRY_AFTER_MS: &str = "retryAfterMs";

/// What callers hear of a defect.
pub(crate) const INTERNAL_MESSAGE: &str = "internal error";

/// The status of a failure: exactly one `ErrorInfo`, and the other details of AIP-193 where they apply.
///
/// The message and metadata of [`Reason::Internal`] stay here: they are logged with an id, and the caller gets the id.
#[must_use]
pub fn to_status(failure: &Failure) -> Status {
    if failure.reason == Reason::Internal {
        let error_id = Uuid::new_v4();
        tracing::error!(%error_id, message = failure.message, metadata = ?failure.metadata, "internal error");
        return status(&Failure::new(Reason::Internal, INTERNAL_MESSAGE).with("errorId", error_id));
    }
    status(failure)
}

/// The failure that a status of a Reelway server tells of; `None` if it is from elsewhere, such as a broken connection.
#[must_use]
pub fn from_status(status: &Status) -> Option<Failure> {
    let details = status.check_error_details().ok()?;
    let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default();
    Some(Failure {
        reason: info.reason.parse().ok()?,
        message: status.message().to_owned(),
        metadata: info.metadata.clone().into_iter().collect(),
        violations: violations
            .iter()
            .map(|v| FieldViolation {
                field: v.field.clone(),
                description: v.description.clone(),
            })
            .collect(),
    })
}

/// How long a client should wait before it tries the same again; `None` if that doesn't help, or needs no wait.
#[must_use]
pub fn retry_after(failure: &Failure) -> Option<Duration> {
    let is_short = matches!(
        failure.reason.grpc_code(),
        GrpcCode::Unavailable | GrpcCode::ResourceExhausted
    );
    if !is_short || failure.reason.retry() != Retry::WithBackoff {
        return None;
    }
    let told = failure.metadata.get(RETRY_AFTER_MS).and_then(|ms| ms.parse().ok());
    Some(told.map_or(RETRY_DELAY, Duration::from_millis))
}

fn status(failure: &Failure) -> Status {
    let metadata: HashMap<String, String> = failure.metadata.clone().into_iter().collect();
    let mut details = ErrorDetails::with_error_info(failure.reason.as_str(), ERROR_DOMAIN, metadata);
    for violation in &failure.violations {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some((kind, name)) = missing_resource(failure) {
        details.set_resource_info(kind, name, "", &failure.message);
    }
    if let Some(wait) = retry_after(failure) {
        details.set_retry_info(Some(wait));
    }
    let code = failure.reason.grpc_code();
    // GrpcCode's numbers are those on the wire.
    Status::with_error_details(Code::from_i32(code as i32), &failure.message, details)
}

/// The type and the name of what isn't there.
fn missing_resource(failure: &Failure) -> Option<(&'static str, &str)> {
    let (kind, key) = match failure.reason {
        Reason::UploadNotFound | Reason::UploadExpired => ("reelway.v1.Upload", "uploadId"),
        Reason::JobNotFound => ("reelway.v1.Job", "jobId"),
        _ => return None,
    };
    Some((kind, failure.metadata.get(key).map_or("", String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL.iter().copied().filter(|r| *r != Reason::Internal) {
            let failure = Failure::new(reason, "a sentence").with("expectedOffset", 7);
            let status = to_status(&failure);
            assert_eq!(status.code() as i32, reason.grpc_code() as i32, "{reason}");
            assert_eq!(from_status(&status), Some(failure));
            let infos = status.get_error_details_vec();
            let infos = infos
                .iter()
                .filter(|d| matches!(d, tonic_types::ErrorDetail::ErrorInfo(_)));
            assert_eq!(infos.count(), 1, "exactly one ErrorInfo");
            let waits = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
            let waits = waits && reason.retry() == Retry::WithBackoff;
            assert_eq!(status.get_details_retry_info().is_some(), waits, "{reason}");
        }
    }

    #[test]
    fn all_violations_are_listed() {
        let violation = |field: &str| FieldViolation {
            field: field.into(),
            description: "is wrong".into(),
        };
        let failure = Failure::invalid(vec![violation("a"), violation("b")]);
        let status = to_status(&failure);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 2);
        assert_eq!(from_status(&status), Some(failure));
    }

    #[test]
    fn a_wait_that_is_known_is_told() {
        let failure = Failure::new(Reason::RateLimited, "too many calls").with(RETRY_AFTER_MS, 2500);
        let told = to_status(&failure).get_details_retry_info().unwrap();
        assert_eq!(told.retry_delay, Some(Duration::from_millis(2500)));
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = Failure::new(Reason::JobNotFound, "no such job").with("jobId", "job_0");
        let resource = to_status(&failure).get_details_resource_info().unwrap();
        assert_eq!(
            (resource.resource_type.as_str(), resource.resource_name.as_str()),
            ("reelway.v1.Job", "job_0")
        );
    }

    #[test]
    fn defects_stay_inside() {
        let failure = Failure::new(Reason::Internal, "can't open /srv/secret").with("path", "/srv/secret");
        let status = to_status(&failure);
        assert!(!format!("{status:?}").contains("secret"));
        let heard = from_status(&status).unwrap();
        assert_eq!(heard.message, INTERNAL_MESSAGE);
        assert!(heard.metadata["errorId"].parse::<Uuid>().is_ok());
    }

    #[test]
    fn statuses_from_elsewhere_are_not_ours() {
        assert_eq!(from_status(&Status::unavailable("connection refused")), None);
        let other = ErrorDetails::with_error_info("INTERNAL", "elsewhere.example", HashMap::new());
        assert_eq!(
            from_status(&Status::with_error_details(Code::Internal, "", other)),
            None
        );
    }
}
