//! One upload: where it stands, more of it, no more of it.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use reelway::v1::{Upload, UploadState};
use reelway_domain::{Failure, Reason, UploadId};

use super::{
    CREATION_SLASH, answer,
    call::Call,
    checksum,
    fields::{self, UPLOAD_CONCAT, UPLOAD_DEFER_LENGTH, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, wrong},
    kept::Kept,
    refusal::Refusal,
};
use crate::{
    append::{Append, Arriving, append, check_place},
    tail, uploads,
};

/// Where the next byte belongs, once whoever wrote before has ended.
///
/// # Errors
/// 404 or 410 if there is no such upload; 423 or 5xx if it isn't known at the moment.
pub(super) async fn head(call: &Call, id: UploadId) -> Result<Response, Refusal> {
    let upload = call.upload(id, true).await?;
    let kept = Kept::with(&upload);
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let is_joined = !upload.part_upload_ids.is_empty();
    if !is_joined || upload.state() == UploadState::Complete {
        answer::offset(headers, &upload);
    }
    match upload.size_bytes {
        Some(bytes) => drop(headers.insert(UPLOAD_LENGTH, HeaderValue::from(bytes))),
        None if is_joined => {}
        None => drop(headers.insert(UPLOAD_DEFER_LENGTH, HeaderValue::from_static("1"))),
    }
    // What came in a header fits into one.
    let metadata = HeaderValue::try_from(kept.metadata)
        .ok()
        .filter(|value| !value.is_empty());
    headers.extend(metadata.map(|value| (UPLOAD_METADATA, value)));
    let concat = HeaderValue::try_from(concat(&upload, kept.concat))
        .ok()
        .filter(|value| !value.is_empty());
    headers.extend(concat.map(|value| (UPLOAD_CONCAT, value)));
    answer::expiry(headers, &upload);
    tail::describe(headers, &upload, call.location(&upload).as_ref());
    Ok(response)
}

/// Appends the body.
///
/// # Errors
/// 409 with the offset if the body belongs elsewhere, 413 if it goes past the end, 415 if it is of another type, 460 if it is not
/// what its checksum says, 400 for headers that can't be read, and what the service refuses with.
pub(super) async fn patch(call: &Call, id: UploadId, body: Arriving) -> Result<Response, Refusal> {
    let headers = call.headers();
    if !fields::is_append(headers) {
        return Err(not_appendable().into());
    }
    let offset = fields::count(headers, &UPLOAD_OFFSET)?.ok_or_else(|| wrong(&UPLOAD_OFFSET, "must be set"))?;
    let expected = checksum::expected(headers)?;
    let size = fields::count(headers, &UPLOAD_LENGTH)?;
    let size = size
        .map(|size| check_size(size, call.edge.settings.upload_bytes_max))
        .transpose()?;
    // Whoever wrote before makes durable what it got, instead of being cut off.
    let upload = call.upload(id, true).await?;
    let size = match size {
        Some(size) => declared(&upload, offset, size)?,
        None => None,
    };
    check_place(offset, &upload)?;
    let append_all = Append {
        upload_id: id.to_string(),
        offset,
        size,
        expected,
        ..Append::default()
    };
    let upload = append(&call.edge, &call.caller, append_all, body).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    answer::offset(response.headers_mut(), &upload);
    answer::expiry(response.headers_mut(), &upload);
    Ok(response)
}

/// Gives the upload up, also a finished one, and frees its bytes.
///
/// # Errors
/// 404 or 410 if there is no such upload (any more).
pub(super) async fn delete(call: &Call, id: UploadId) -> Result<Response, Refusal> {
    // It would be fine to give up again what was given up, but to clients it is gone.
    call.upload(id, false).await?;
    uploads::abort(&call.edge, &call.caller, &id.to_string(), true).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The length that a PATCH names, if it is new. It is written down only with an append in its place, so that one that is refused
/// changes nothing.
fn declared(upload: &Upload, offset: i64, size: i64) -> Result<Option<i64>, Failure> {
    match upload.size_bytes {
        Some(known) if known == size => return Ok(None),
        Some(known) => {
            let message = "the upload's length is known and can't become another";
            return Err(Failure::new(Reason::SizeFixed, message).with("sizeBytes", known));
        }
        None => {}
    }
    check_place(offset, upload)?;
    if size < offset {
        return Err(wrong(
            &UPLOAD_LENGTH,
            format!("must be at least {offset}, which is there already"),
        ));
    }
    Ok(Some(size))
}

/// A length that an upload may have, in bytes.
///
/// # Errors
/// `SIZE_EXCEEDED`.
pub(super) fn check_size(bytes: i64, bytes_max: i64) -> Result<i64, Failure> {
    if bytes > bytes_max {
        let message = format!("an upload may have at most {bytes_max} bytes");
        return Err(Failure::new(Reason::SizeExceeded, message)
            .with("sizeBytes", bytes)
            .with("sizeBytesMax", bytes_max));
    }
    Ok(bytes)
}

/// The body has another type.
pub(super) fn not_appendable() -> Failure {
    let message = format!("bytes must come with Content-Type: {}", fields::OFFSET_OCTET_STREAM);
    Failure::new(Reason::ContentTypeUnsupported, message)
}

/// Upload-Concat as it was received, or as it would have been.
fn concat(upload: &Upload, received: String) -> String {
    if !received.is_empty() {
        return received;
    }
    if upload.partial {
        return "partial".to_owned();
    }
    let parts: Vec<_> = upload
        .part_upload_ids
        .iter()
        .map(|id| format!("{CREATION_SLASH}{id}"))
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("final;{}", parts.join(" ")),
    }
}
