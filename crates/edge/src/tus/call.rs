//! One request: by whom, about what, and under which address.

use axum::extract::FromRequestParts as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request::Parts};
use reelway::v1::Upload;
use reelway_domain::{Failure, Reason, UploadId};

use super::CREATION_SLASH;
use crate::{Edge, caller::Caller, origin::Origin, tail, uploads};

/// The method that counts, where clients can't send it: proxies and old browsers let only some through.
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) edge: Edge,
    pub(super) caller: Caller,
    pub(super) origin: Origin,
    pub(super) method: Method,
    head: Parts,
}

impl Call {
    /// What a request is about.
    pub(super) async fn new(edge: Edge, mut head: Parts) -> Self {
        let origin = match Origin::from_request_parts(&mut head, &edge).await {
            Ok(origin) => origin,
            Err(never) => match never {},
        };
        Self {
            caller: Caller::of(&head.headers, head.uri.query()),
            method: method(&head),
            origin,
            edge,
            head,
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The upload that the path names; `None`: none, it is the place where uploads are created.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND` if what it names can't be an upload.
    pub(super) fn id(&self) -> Result<Option<UploadId>, Failure> {
        match named(&self.head.uri) {
            None => Ok(None),
            Some(name) => name.parse().map(Some).map_err(|_| not_found(name)),
        }
    }

    /// The upload whose tail the path names, if it does.
    pub(super) fn tail_of(&self) -> Option<UploadId> {
        tail::upload_of(named(&self.head.uri)?)
    }

    /// The upload as it is now. With `end_writer` whoever writes it ends first, so the offset is where the next one begins.
    ///
    /// # Errors
    /// What the service refuses with; `UPLOAD_ABORTED`, `UPLOAD_EXPIRED` or `UPLOAD_FAILED` if the upload came to nothing.
    pub(super) async fn upload(&self, id: UploadId, end_writer: bool) -> Result<Upload, Failure> {
        uploads::find(&self.edge, &self.caller, id, end_writer).await
    }

    /// Where an upload is.
    pub(super) fn location(&self, upload: &Upload) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}{CREATION_SLASH}{}", self.origin.0, upload.id)).ok()
    }
}

fn method(head: &Parts) -> Method {
    let named = head.headers.get(METHOD_OVERRIDE);
    let named = named.and_then(|name| Method::from_bytes(name.as_bytes()).ok());
    named.unwrap_or_else(|| head.method.clone())
}

/// What stands behind the place where uploads are created.
fn named(uri: &Uri) -> Option<&str> {
    uri.path().strip_prefix(CREATION_SLASH).filter(|name| !name.is_empty())
}

fn not_found(name: &str) -> Failure {
    // A name is as long as the client likes.
    let known: String = name.chars().take(64).collect();
    Failure::new(Reason::UploadNotFound, "no such upload").with("uploadId", known)
}
