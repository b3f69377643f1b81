//! A failure as an HTTP answer: a problem document (RFC 9457) with the same reason, message and metadata that gRPC carries.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use reelway_domain::{Failure, FieldViolation};
use reelway_rpc::{ERROR_DOMAIN, retry_after};
use serde::Serialize;
use serde_json::{Map, Value};

/// A failure that a client is told.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Failure);

/// What kind of problem it is, for clients that know a standard's words and not our reasons.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kind {
    r#type: &'static str,
    title: &'static str,
    status: StatusCode,
    members: Map<String, Value>,
}

impl Kind {
    /// A kind that a standard names by a URI.
    pub(crate) fn new(r#type: &'static str, title: &'static str, status: StatusCode) -> Self {
        Self {
            r#type,
            title,
            status,
            members: Map::new(),
        }
    }

    /// Nothing more than the status says.
    pub(crate) fn blank(status: StatusCode) -> Self {
        Self::new("about:blank", status.canonical_reason().unwrap_or("Error"), status)
    }

    /// The same with a member that the standard defines for it.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }
}

/// What is said of it.
#[derive(Serialize)]
struct Document<'a> {
    /// What kind of problem this is; the reason below is what to branch on.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
    domain: &'static str,
    metadata: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: &'a [FieldViolation],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl Problem {
    /// What is said of it, as JSON.
    pub(crate) fn to_json(&self) -> String {
        self.document(&self.kind())
    }

    /// The kind that its reason alone makes it.
    fn kind(&self) -> Kind {
        let status = StatusCode::from_u16(self.0.reason.http_status());
        Kind::blank(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn document(&self, kind: &Kind) -> String {
        let Self(failure) = self;
        let document = Document {
            r#type: kind.r#type,
            title: kind.title,
            status: kind.status.as_u16(),
            detail: &failure.message,
            reason: failure.reason.as_str(),
            domain: ERROR_DOMAIN,
            metadata: &failure.metadata,
            violations: &failure.violations,
            members: &kind.members,
        };
        // A document of strings and numbers can always be written.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// The answer with the status and the words of a standard.
    pub(crate) fn into_response_of(self, kind: &Kind) -> Response {
        let (status, body) = (kind.status, self.document(kind));
        let Self(failure) = self;
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = retry_after(&failure) {
            // Whole seconds, and not too soon: RFC 9110, 10.2.3.
            let seconds = wait.as_millis().div_ceil(1000);
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
            );
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = self.kind();
        self.into_response_of(&kind)
    }
}
