//! One request: by whom, and under which address. What all methods do for it.

use std::{
    convert::Infallible,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::extract::{FromRequestParts, State};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use reelway::v1::{Upload, UploadState};
use reelway_domain::{Failure, Reason, UploadId};

use super::{answer, refusal::Refusal};
use crate::{Edge, caller::Caller, origin::Origin, tail, uploads};

/// How many bytes are there (section 4.1.1).
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Whether they are all (section 4.1.2).
pub(super) const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
/// How many it will be (section 4.1.3).
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// What is allowed (section 4.1.4).
pub(super) const UPLOAD_LIMIT: HeaderName = HeaderName::from_static("upload-limit");

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) edge: Edge,
    pub(super) caller: Caller,
    origin: Origin,
    /// What stands behind the place where uploads are created.
    name: String,
}

impl FromRequestParts<Edge> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Infallible> {
        let State(edge) = State::from_request_parts(parts, edge).await?;
        let caller = Caller::from_request_parts(parts, &edge).await?;
        let origin = Origin::from_request_parts(parts, &edge).await?;
        let name = parts.uri.path().strip_prefix(super::CREATION_SLASH).unwrap_or_default();
        Ok(Self {
            edge,
            caller,
            origin,
            name: name.to_owned(),
        })
    }
}

impl Call {
    /// The upload that the path names, as it is once whoever wrote it has ended, so the offset is where the next append begins
    /// (section 4.6).
    ///
    /// # Errors
    /// 404 or 410 if it is not there any more, 410 with `Upload-Complete: ?1` if its bytes were not what was promised.
    pub(super) async fn upload(&self) -> Result<Upload, Refusal> {
        self.find(true).await
    }

    /// The upload as it is, whoever writes it.
    ///
    /// # Errors
    /// As [`Call::upload`].
    pub(super) async fn upload_now(&self) -> Result<Upload, Refusal> {
        self.find(false).await
    }

    /// The upload whose tail the path names.
    ///
    /// # Errors
    /// 404 if there can't be such an upload, 405 if it is no tail that is named: uploads themselves are not put.
    pub(super) fn tail_of(&self) -> Result<UploadId, Refusal> {
        if let Some(id) = tail::upload_of(&self.name) {
            return Ok(id);
        }
        if self.name.contains('/') {
            return Err(Failure::new(Reason::UploadNotFound, "no such upload").into());
        }
        let message = "uploads are not put; append to them with PATCH";
        let refusal = Refusal::from(Failure::new(Reason::MethodNotAllowed, message));
        Err(refusal.with(header::ALLOW, super::ALLOWED))
    }

    async fn find(&self, end_writer: bool) -> Result<Upload, Refusal> {
        let Ok(id) = self.name.parse::<UploadId>() else {
            return Err(Failure::new(Reason::UploadNotFound, "no such upload").into());
        };
        Ok(uploads::find(&self.edge, &self.caller, id, end_writer).await?)
    }

    /// Whether an upload may have so many bytes.
    ///
    /// # Errors
    /// 413.
    pub(super) fn check_limit(&self, bytes: Option<i64>) -> Result<(), Refusal> {
        if bytes.is_some_and(|bytes| bytes > self.edge.settings.upload_bytes_max) {
            return Err(Refusal::too_large(self));
        }
        Ok(())
    }

    /// What is said of an upload of which more came than its length, so that the service has failed it, or than is allowed: then
    /// it is given up here (section 4.4.2).
    pub(super) async fn overrun(&self, id: &str, length: Option<i64>) -> Refusal {
        let refusal = match length {
            Some(length) => {
                let message = format!("more came than the {length} bytes of the upload, which has failed by that");
                Refusal::inconsistent_length(message)
            }
            None => {
                self.discard(id).await;
                Refusal::too_large(self)
            }
        };
        refusal.with(UPLOAD_COMPLETE, answer::boolean(false))
    }

    /// Gives up what nobody can use any more. If that fails, it expires.
    pub(super) async fn discard(&self, id: &str) {
        if let Err(failure) = uploads::abort(&self.edge, &self.caller, id, false).await {
            tracing::debug!(upload.id = id, %failure, "an unusable upload will expire");
        }
    }

    /// Where the upload is.
    pub(super) fn location(&self, upload: &Upload) -> HeaderValue {
        let path = format!("{}{}", super::CREATION_SLASH, upload.id);
        let absolute = HeaderValue::try_from(format!("{}{path}", self.origin.0));
        // The client named the host; if that is no text, the path alone is right as well. An id always is.
        absolute
            .or_else(|_| HeaderValue::try_from(path))
            .unwrap_or(HeaderValue::from_static(super::CREATION))
    }

    /// What is allowed, for an upload that is there or one that may be created.
    pub(super) fn limit(&self, upload: Option<&Upload>) -> HeaderValue {
        let age = upload.and_then(seconds_left);
        answer::limit(self.edge.settings.upload_bytes_max, age)
    }

    /// Says where the upload stands.
    pub(super) fn describe(&self, headers: &mut HeaderMap, upload: &Upload) {
        let is_complete = matches!(upload.state(), UploadState::Complete | UploadState::Failed);
        headers.insert(UPLOAD_COMPLETE, answer::boolean(is_complete));
        headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.durable_offset));
        if let Some(length) = upload.size_bytes {
            headers.insert(UPLOAD_LENGTH, HeaderValue::from(length));
        }
        headers.insert(UPLOAD_LIMIT, self.limit(Some(upload)));
        tail::describe(headers, upload, Some(&self.location(upload)));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// How long an unfinished upload is kept if nothing arrives, in seconds.
fn seconds_left(upload: &Upload) -> Option<i64> {
    let expires = upload.expire_time?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    Some(expires.seconds.saturating_sub(now_seconds).max(0))
}
