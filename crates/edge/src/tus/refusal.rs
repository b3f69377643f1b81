//! What a client is told when a request isn't done. The status is what real clients act on: tus-js-client tries again after 409,
//! 423 and 5xx only, and forgets an upload on any other 4xx on `HEAD`.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reelway_domain::{Failure, Reason, Retry};

use super::{
    call::Call,
    fields::{TUS_VERSION, UPLOAD_OFFSET, VERSION},
};
use crate::{
    append::DURABLE_OFFSET,
    problem::{Kind, Problem},
};

/// What a client should wait before it tries again what somebody else is in the way of, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A failure, and what the headers say beside it.
#[derive(Debug)]
pub(super) struct Refusal {
    failure: Failure,
    headers: HeaderMap,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let mut headers = HeaderMap::new();
        match failure.reason {
            Reason::TusVersionUnsupported => {
                headers.insert(TUS_VERSION, VERSION);
            }
            Reason::OffsetMismatch | Reason::ChunkChecksumMismatch | Reason::SizeExceeded => {
                let durable = failure.metadata.get(DURABLE_OFFSET);
                let durable = durable.and_then(|offset| HeaderValue::try_from(offset).ok());
                headers.extend(durable.map(|offset| (UPLOAD_OFFSET, offset)));
            }
            _ => {}
        }
        Self { failure, headers }
    }
}

impl Refusal {
    /// 405.
    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this path answers to {allowed} only");
        let mut refusal = Self::from(Failure::new(Reason::MethodNotAllowed, message));
        refusal.headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        refusal
    }

    /// The same with where the upload is that was created all the same.
    pub(super) fn at(mut self, location: Option<HeaderValue>) -> Self {
        self.headers
            .extend(location.map(|location| (header::LOCATION, location)));
        self
    }

    /// The answer.
    pub(super) fn respond(self, call: &Call) -> Response {
        let Self { failure, mut headers } = self;
        let status = status(failure.reason, &call.method);
        if is_passing(status) {
            headers.insert(header::RETRY_AFTER, RETRY_SECONDS);
        }
        let mut response = Problem(failure).into_response_of(&Kind::blank(status));
        response.headers_mut().extend(headers);
        if call.method == Method::HEAD {
            // Also where another method stands in its place.
            *response.body_mut() = axum::body::Body::empty();
        }
        response.into_response()
    }
}

fn status(reason: Reason, method: &Method) -> StatusCode {
    let usual = StatusCode::from_u16(reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match reason {
        // Somebody else is in the way, for a moment.
        Reason::WriterSuperseded | Reason::UploadComplete => StatusCode::LOCKED,
        // Its bytes are gone: asking again doesn't help.
        Reason::UploadFailed => StatusCode::GONE,
        // 408 would end the upload for clients that know only 5xx as passing.
        Reason::StreamIdle => StatusCode::SERVICE_UNAVAILABLE,
        _ if *method == Method::HEAD && usual.is_client_error() && reason.retry() == Retry::WithBackoff => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ if *method == Method::HEAD && usual == StatusCode::CONFLICT => StatusCode::LOCKED,
        _ => usual,
    }
}

/// Whether the same request may succeed a little later.
fn is_passing(status: StatusCode) -> bool {
    [
        StatusCode::LOCKED,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::INSUFFICIENT_STORAGE,
    ]
    .contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_passes_is_no_final_4xx_on_head() {
        for reason in Reason::ALL {
            let status = status(*reason, &Method::HEAD);
            let is_final = status.is_client_error() && status != StatusCode::LOCKED;
            assert!(!is_final || reason.retry() == Retry::Never, "{reason} is {status}");
            assert_ne!(status, StatusCode::CONFLICT, "{reason}");
            assert_ne!(status, StatusCode::REQUEST_TIMEOUT, "{reason}");
        }
    }

    #[test]
    fn statuses_are_those_of_tus() {
        let of = |reason| status(reason, &Method::PATCH).as_u16();
        assert_eq!(of(Reason::TusVersionUnsupported), 412);
        assert_eq!(of(Reason::OffsetMismatch), 409);
        assert_eq!(of(Reason::ChunkChecksumMismatch), 460);
        assert_eq!(of(Reason::SizeExceeded), 413);
        assert_eq!(of(Reason::ContentTypeUnsupported), 415);
        assert_eq!(of(Reason::UploadNotWritable), 403);
        assert_eq!(
            (
                of(Reason::UploadNotFound),
                of(Reason::UploadAborted),
                of(Reason::UploadExpired)
            ),
            (404, 410, 410)
        );
        assert_eq!(
            (
                of(Reason::ShuttingDown),
                of(Reason::RateLimited),
                of(Reason::StreamIdle)
            ),
            (503, 429, 503)
        );
    }
}
