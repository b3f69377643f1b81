//! What a client is told when a request isn't done.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reelway::v1::Upload;
use reelway_domain::{Failure, Reason};

use super::{
    answer,
    call::{Call, UPLOAD_COMPLETE, UPLOAD_LIMIT, UPLOAD_OFFSET},
};
use crate::{
    append::DURABLE_OFFSET,
    problem::{Kind, Problem},
};

/// The content belongs elsewhere (section 7.1 of the draft).
const MISMATCHING_OFFSET: &str = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
/// The request's length is another than was told before (section 7.2).
const INCONSISTENT_LENGTH: &str = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";
/// The media type of an append (section 6 of the draft).
pub(super) const PARTIAL_UPLOAD: &str = "application/partial-upload";

/// A problem document, and what the headers say beside it.
#[derive(Debug)]
pub(super) struct Refusal {
    failure: Failure,
    /// Where the draft or HTTP knows more of it than the reason's own status.
    kind: Option<Box<Kind>>,
    headers: Box<HeaderMap>,
}

impl Refusal {
    /// 409: the content would belong at another offset (section 4.4.2).
    pub(super) fn mismatching_offset(expected: i64, provided: i64) -> Self {
        let message = "the content doesn't begin where the upload ends; go on from the expected offset";
        let failure = Failure::new(Reason::OffsetMismatch, message)
            .with("expectedOffset", expected)
            .with("offset", provided);
        let title = "offset from request does not match offset of resource";
        let kind = Kind::new(MISMATCHING_OFFSET, title, StatusCode::CONFLICT)
            .with("expected-offset", expected)
            .with("provided-offset", provided);
        Self::from(failure)
            .of_kind(kind)
            .with(UPLOAD_OFFSET, HeaderValue::from(expected))
    }

    /// 400: what is said of the length doesn't fit together (section 4.1.3).
    pub(super) fn inconsistent_length(message: impl Into<String>) -> Self {
        Failure::new(Reason::SizeMismatch, message).into()
    }

    /// 413 with the limit that was passed (section 4.1.4).
    pub(super) fn too_large(call: &Call) -> Self {
        let limit = call.edge.settings.upload_bytes_max;
        let message = format!("an upload may have at most {limit} bytes");
        let failure = Failure::new(Reason::SizeExceeded, message).with("sizeBytesMax", limit);
        let kind = Kind::blank(StatusCode::PAYLOAD_TOO_LARGE);
        Self::from(failure).of_kind(kind).with(UPLOAD_LIMIT, call.limit(None))
    }

    /// 415: not a media type or a coding that is taken here.
    pub(super) fn unsupported(message: &'static str, name: HeaderName, taken: HeaderValue) -> Self {
        Self::from(Failure::new(Reason::ContentTypeUnsupported, message)).with(name, taken)
    }

    /// What the service refused content with that was to be appended at `offset`, and where the upload stands now.
    pub(super) fn after(call: &Call, upload: &Upload, failure: Failure, offset: i64) -> Self {
        let told = failure.metadata.get(DURABLE_OFFSET).and_then(|text| text.parse().ok());
        let durable = match failure.reason {
            // The bytes are gone.
            Reason::FileChecksumMismatch
            | Reason::UploadFailed
            | Reason::UploadAborted
            | Reason::UploadExpired
            | Reason::UploadNotFound => return failure.into(),
            // Nothing of the content counted.
            Reason::ChunkChecksumMismatch => Some(offset),
            _ => told,
        };
        let Some(durable) = durable else {
            return failure.into();
        };
        let refusal = match failure.reason {
            Reason::OffsetMismatch => Self::mismatching_offset(durable, offset),
            _ => failure.into(),
        };
        let now = Upload {
            durable_offset: durable,
            ..upload.clone()
        };
        refusal.about(call, &now)
    }

    /// The same with where the upload stands.
    pub(super) fn about(mut self, call: &Call, upload: &Upload) -> Self {
        let told = std::mem::take(&mut *self.headers);
        call.describe(&mut self.headers, upload);
        // What is known since is newer.
        self.headers.extend(told);
        self
    }

    /// The same with another header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = Some(Box::new(kind));
        self
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let mut headers = HeaderMap::new();
        let kind = match failure.reason {
            Reason::SizeMismatch | Reason::SizeFixed | Reason::SizeExceeded => {
                let title = "inconsistent length values for upload";
                Some(Kind::new(INCONSISTENT_LENGTH, title, StatusCode::BAD_REQUEST))
            }
            // 460 is a word of tus.
            Reason::ChunkChecksumMismatch => Some(Kind::blank(StatusCode::BAD_REQUEST)),
            // Everything was transferred, so resuming would not help (section 4.4.1).
            Reason::FileChecksumMismatch => {
                headers.insert(UPLOAD_COMPLETE, answer::boolean(true));
                Some(Kind::blank(StatusCode::BAD_REQUEST))
            }
            Reason::UploadFailed => {
                headers.insert(UPLOAD_COMPLETE, answer::boolean(true));
                Some(Kind::blank(StatusCode::GONE))
            }
            _ => None,
        };
        Self {
            failure,
            kind: kind.map(Box::new),
            headers: Box::new(headers),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { failure, kind, headers } = self;
        let mut response = match kind {
            Some(kind) => Problem(failure).into_response_of(&kind),
            None => Problem(failure).into_response(),
        };
        response.headers_mut().extend(*headers);
        response
    }
}
