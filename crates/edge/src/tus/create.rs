//! `POST /files/`: an upload is created, perhaps with its first bytes.

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use reelway::v1::CreateUploadRequest;
use reelway_domain::{Failure, Reason};

use super::{
    answer,
    call::Call,
    checksum,
    concat::Concat,
    fields::{self, Length, UPLOAD_CONCAT, UPLOAD_LENGTH, wrong},
    kept::Kept,
    metadata::Metadata,
    refusal::Refusal,
    resource,
};
use crate::{
    append::{Append, Arriving, append},
    tail, uploads,
};

/// Creates an upload. Everything is examined before that: a request that is refused creates nothing.
///
/// # Errors
/// 400 for headers that can't be read, 413 for what is too long, 415 for a body of another type, 460 for one that is not what its
/// checksum says, and what the service refuses with.
pub(super) async fn create(call: &Call, mut body: Arriving) -> Result<Response, Refusal> {
    let headers = call.headers();
    let concat = Concat::of(headers, &call.origin)?;
    let size = check_length(fields::length(headers)?, &concat, call.edge.settings.upload_bytes_max)?;
    let metadata = Metadata::of(headers)?;
    let takes_bytes = fields::is_append(headers);
    let expected = checksum::expected(headers)?.filter(|_| takes_bytes);
    check_body(&mut body, takes_bytes, size, &concat).await?;
    let request = request(call, size, concat, metadata)?;
    let upload = uploads::create(&call.edge, &call.caller, request).await?;
    let location = call.location(&upload);
    let has_bytes = takes_bytes && body.announced() != Some(0) && upload.part_upload_ids.is_empty();
    let upload = if has_bytes || expected.is_some() {
        let append_all = Append {
            upload_id: upload.id.clone(),
            expected,
            ..Append::default()
        };
        let appended = append(&call.edge, &call.caller, append_all, body).await;
        // The upload is there, and its client may go on with it.
        appended.map_err(|failure| Refusal::from(failure).at(location.clone()))?
    } else {
        upload
    };
    let mut response = StatusCode::CREATED.into_response();
    let headers = response.headers_mut();
    tail::describe(headers, &upload, location.as_ref());
    headers.extend(location.map(|location| (header::LOCATION, location)));
    answer::expiry(headers, &upload);
    if takes_bytes {
        answer::offset(headers, &upload);
    }
    Ok(response)
}

/// How long the upload will be; `None` if that isn't known yet.
fn check_length(length: Length, concat: &Concat, bytes_max: i64) -> Result<Option<i64>, Failure> {
    match (length, concat) {
        (Length::Absent, Concat::Final(_)) | (Length::Deferred, Concat::None | Concat::Partial) => Ok(None),
        (_, Concat::Final(_)) => Err(wrong(
            &UPLOAD_LENGTH,
            "must be absent: the parts have the length of a final upload",
        )),
        (Length::Absent, _) => Err(wrong(&UPLOAD_LENGTH, "must be set, or Upload-Defer-Length: 1")),
        (Length::Known(bytes), _) => resource::check_size(bytes, bytes_max).map(Some),
    }
}

async fn check_body(body: &mut Arriving, takes_bytes: bool, size: Option<i64>, concat: &Concat) -> Result<(), Failure> {
    if !takes_bytes {
        // Without bytes the type doesn't matter: some clients always send one.
        return if body.has_bytes().await {
            Err(resource::not_appendable())
        } else {
            Ok(())
        };
    }
    if matches!(concat, Concat::Final(_)) && body.has_bytes().await {
        let message = "a final upload has the bytes of its parts only";
        return Err(Failure::new(Reason::UploadNotWritable, message));
    }
    let announced = body.announced().and_then(|bytes| i64::try_from(bytes).ok());
    match (announced, size) {
        (Some(announced), Some(size)) if announced > size => {
            let message = "the body is longer than the upload; nothing was created";
            Err(Failure::new(Reason::SizeExceeded, message).with("sizeBytes", size))
        }
        _ => Ok(()),
    }
}

fn request(call: &Call, size: Option<i64>, concat: Concat, metadata: Metadata) -> Result<CreateUploadRequest, Failure> {
    let told = fields::text(call.headers(), &UPLOAD_CONCAT)?.unwrap_or_default();
    let mut request = CreateUploadRequest {
        size_bytes: size,
        file_name: metadata.file_name(),
        content_type: metadata.content_type(),
        metadata: metadata.others(),
        preset: metadata.preset(),
        ..CreateUploadRequest::default()
    };
    match concat {
        Concat::None => {}
        Concat::Partial => {
            request.partial = true;
            // What is made of the whole is for the final upload to say.
            request.preset.clear();
        }
        Concat::Final(parts) => request.part_upload_ids = parts.iter().map(ToString::to_string).collect(),
    }
    let kept = Kept {
        metadata: metadata.raw,
        concat: told.to_owned(),
    };
    request.client_state = kept.into_client_state()?;
    Ok(request)
}
