//! An upload that is there: where it stands, and giving it up.

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{
    answer,
    call::{Call, UPLOAD_LIMIT},
    refusal::{PARTIAL_UPLOAD, Refusal},
};
use crate::{append::Arriving, tail, uploads};

/// Which media types a PATCH may have (RFC 5789, section 3.1).
pub(super) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Where the upload stands (section 4.3). Ends who wrote it, so that the offset is accepted next.
pub(super) async fn head(call: Call) -> Result<Response, Refusal> {
    let upload = call.upload().await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    call.describe(response.headers_mut(), &upload);
    Ok(response)
}

/// The same with the upload as JSON.
pub(super) async fn get(call: Call) -> Result<Response, Refusal> {
    let upload = call.upload().await?;
    let mut response = answer::document(&upload)?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.describe(headers, &upload);
    Ok(response)
}

/// Gives the upload up (section 4.5), also a complete one; what its job has made stays. Whoever writes it is cut off.
pub(super) async fn delete(call: Call) -> Result<StatusCode, Refusal> {
    // Once it is gone it is gone: the service would take this for a repetition.
    let upload = call.upload_now().await?;
    uploads::abort(&call.edge, &call.caller, &upload.id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the end of the file ahead of the rest. An upload itself can't be put.
pub(super) async fn put_tail(call: Call, request: Request) -> Result<Response, Refusal> {
    let id = call.tail_of()?;
    let (head, body) = request.into_parts();
    let body = Arriving::of(&head.headers, body);
    Ok(tail::put(&call.edge, &call.caller, id, &head.headers, body).await?)
}

/// Tells that uploads can be resumed here, and what is allowed (section 4.1.4).
pub(super) async fn discover(call: Call) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(PARTIAL_UPLOAD));
    headers.insert(UPLOAD_LIMIT, call.limit(None));
    tail::offer(headers);
    response
}
