//! Appending to an upload (section 4.4 of the draft).

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header};
use reelway::v1::{Upload, UploadState};
use reelway_domain::Reason;
use reelway_rpc::request::{all_valid, violation};
use tracing::Instrument as _;

use super::{
    answer,
    call::Call,
    create, digests,
    fields::Fields,
    refusal::{PARTIAL_UPLOAD, Refusal},
    resource::ACCEPT_PATCH,
};
use crate::append::{self, Append, Arriving};

/// Appends the content. Runs to its end if the client leaves, so that an upload that got too much is given up.
pub(super) async fn append(call: Call, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let appending = async move {
        let body = Arriving::of(&head.headers, body);
        run(&call, &head.headers, body).await.into_response()
    };
    create::to_the_end(tokio::spawn(appending.in_current_span())).await
}

async fn run(call: &Call, headers: &HeaderMap, body: Arriving) -> Result<Response, Refusal> {
    check_type(headers)?;
    let fields = Fields::of(headers, body.announced());
    let (offset, is_last) = place(&fields)?;
    let expected = digests::content(headers)?;
    let upload = call.upload().await?;
    if offset != upload.durable_offset {
        return Err(Refusal::mismatching_offset(upload.durable_offset, offset).about(call, &upload));
    }
    let is_complete = upload.state() == UploadState::Complete;
    let is_beyond = fields
        .end(offset)
        .zip(upload.size_bytes)
        .is_some_and(|(end, length)| end > length);
    let length = match is_beyond && !is_complete {
        // Refused like content that turns out to be too long.
        true => upload.size_bytes,
        false => check_length(call, &upload, &fields, is_last)?,
    };
    let append = Append {
        upload_id: upload.id.clone(),
        offset,
        size: length.filter(|_| upload.size_bytes.is_none()),
        is_last,
        strict: true,
        expected,
    };
    // A client that never got the final response gets it now: an append of nothing changes nothing.
    match append::append(&call.edge, &call.caller, append, body).await {
        Ok(upload) => answer::taken(call, &upload, false, headers),
        Err(failure) if failure.reason == Reason::SizeExceeded && is_complete => {
            let message = "the upload is complete and nothing can be appended any more";
            Err(Refusal::inconsistent_length(message).about(call, &upload))
        }
        Err(failure) if failure.reason == Reason::SizeExceeded => Err(call.overrun(&upload.id, length).await),
        Err(failure) => Err(Refusal::after(call, &upload, failure, offset)),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let told = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = told.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(PARTIAL_UPLOAD) {
        return Ok(());
    }
    let message = "what is appended must have Content-Type: application/partial-upload";
    Err(Refusal::unsupported(
        message,
        ACCEPT_PATCH,
        HeaderValue::from_static(PARTIAL_UPLOAD),
    ))
}

/// Where the content belongs, and whether it is the last. Both must be told (section 4.4.1).
fn place(fields: &Fields) -> Result<(i64, bool), Refusal> {
    let mut violations = Vec::new();
    if fields.offset.is_none() {
        violations.push(violation("upload-offset", "must be a non-negative Integer"));
    }
    if fields.complete.is_none() {
        violations.push(violation("upload-complete", "must be a Boolean: ?0 or ?1"));
    }
    all_valid(violations)?;
    // Without a violation both are there.
    Ok((fields.offset.unwrap_or_default(), fields.complete.unwrap_or_default()))
}

/// The length of the upload if it is known by now, which must be possible and the same as ever.
fn check_length(call: &Call, upload: &Upload, fields: &Fields, is_last: bool) -> Result<Option<i64>, Refusal> {
    let offset = upload.durable_offset;
    let told = fields
        .indicated_length(offset, is_last)
        .map_err(|refusal| refusal.about(call, upload))?;
    let message = match (upload.size_bytes, told, fields.end(offset)) {
        (Some(known), Some(told), _) if told != known => {
            format!("the upload has {known} bytes by what was told before, and {told} by this request")
        }
        (_, Some(told), _) if told < offset => format!("Upload-Length says {told} bytes, and {offset} are there"),
        (None, Some(told), Some(end)) if told < end => {
            format!("Upload-Length says {told} bytes, and the content ends at {end}")
        }
        (known, told, end) => {
            let length = known.or(told);
            return call.check_limit(length.or(end)).map(|()| length);
        }
    };
    Err(Refusal::inconsistent_length(message).about(call, upload))
}
