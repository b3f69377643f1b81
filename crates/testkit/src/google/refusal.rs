//! What Google says when it doesn't do what it is asked:
//! <https://cloud.google.com/storage/docs/xml-api/reference-status>.

use std::fmt;

use hyper::{Response, StatusCode, header};
use quick_xml::escape::escape;

use super::{Answer, whole};

/// An error with its name.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// It is no request of Google's API at all.
    pub(super) is_foreign: bool,
}

impl Refusal {
    /// One that Google's clients hear too.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            is_foreign: false,
        }
    }

    /// One for requests that no client of Google's would make.
    pub(super) fn foreign(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// There is no such object.
    pub(super) fn no_such_key() -> Self {
        let message = "The specified key does not exist.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", message)
    }

    /// There is no such multipart upload, or not any more.
    pub(super) fn no_such_upload() -> Self {
        let message = "The requested upload was not found.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchUpload", message)
    }

    /// The object isn't as it was to be.
    pub(super) fn precondition() -> Self {
        let message = "At least one of the pre-conditions you specified did not hold.";
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
    }

    /// The server behind didn't do what it was asked.
    pub(super) fn behind(error: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string())
    }

    pub(super) fn answer(&self) -> Answer {
        let (code, message) = (self.code, escape(self.message.as_str()));
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let answer = Response::builder().status(self.status);
        whole(
            answer.header(header::CONTENT_TYPE, "application/xml; charset=UTF-8"),
            body,
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}
