//! What a client is told of an upload.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reelway::v1::{Upload, UploadState};

use super::{
    call::Call,
    digests::{self, REPR_DIGEST},
    refusal::Refusal,
};
use crate::api::json;

/// The answer to a request whose content was taken: the final response if that was all, otherwise where to go on.
///
/// # Errors
/// Only a defect.
pub(super) fn taken(call: &Call, upload: &Upload, is_creation: bool, asked: &HeaderMap) -> Result<Response, Refusal> {
    let mut response = if upload.state() == UploadState::Complete {
        last(upload, asked)?
    } else if is_creation {
        StatusCode::CREATED.into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    let is_created = response.status() == StatusCode::CREATED;
    let headers = response.headers_mut();
    call.describe(headers, upload);
    if is_created {
        headers.insert(header::LOCATION, call.location(upload));
    }
    Ok(response)
}

/// What an upload in one request gets, and the last request of one in several (section 4.4.2): the upload with its job.
fn last(upload: &Upload, asked: &HeaderMap) -> Result<Response, Refusal> {
    let mut response = (StatusCode::CREATED, document(upload)?).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A complete upload has the digest that was promised.
    if !upload.expected_sha256.is_empty() && digests::is_welcome(asked) {
        headers.extend(digests::sha256(&upload.expected_sha256).map(|digest| (REPR_DIGEST, digest)));
    }
    Ok(response)
}

/// The upload as canonical JSON.
///
/// # Errors
/// Only a defect.
pub(super) fn document(upload: &Upload) -> Result<String, Refusal> {
    Ok(json::of("Upload", upload)?)
}

/// An Upload-Limit (section 4.1.4). There is nothing else that is limited: appends may be as long and as short as they like.
pub(super) fn limit(bytes_max: i64, seconds_left: Option<i64>) -> HeaderValue {
    let age = seconds_left.map_or_else(String::new, |seconds| format!(", max-age={seconds}"));
    let text = format!("max-size={bytes_max}, min-size=0{age}");
    // Digits and letters always are a value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("min-size=0"))
}

/// A Boolean (RFC 9651, section 4.1.9).
pub(super) fn boolean(value: bool) -> HeaderValue {
    HeaderValue::from_static(if value { "?1" } else { "?0" })
}
