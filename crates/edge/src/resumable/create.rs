//! Creating an upload, with all of its bytes, some, or none (section 4.2 of the draft).

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Uri, header, request};
use reelway::v1::{CreateUploadRequest, Upload, UploadState};
use reelway_domain::{Failure, Reason};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::{answer, call::Call, digests, disposition, fields::Fields, refusal::Refusal};
use crate::{
    append::{self, Append, Arriving, Expected},
    uploads,
};

/// The media type of clients that don't know it (curl).
const NO_TYPE: &str = "application/x-www-form-urlencoded";
/// A form with a file in it; its bytes are not the file's.
const FORM: &str = "multipart/form-data";
/// The query parameter that says what is made of the file.
const PRESET: &str = "preset";

/// Creates an upload. Runs to its end if the client leaves, so that nothing stays that nobody can use.
pub(super) async fn create(call: Call, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let creating = async move {
        let body = Arriving::of(&head.headers, body);
        run(&call, &head, body).await.into_response()
    };
    to_the_end(tokio::spawn(creating.in_current_span())).await
}

/// What a request is answered that goes on if its client leaves.
pub(super) async fn to_the_end(running: JoinHandle<Response>) -> Response {
    running.await.unwrap_or_else(|error| {
        let failure = Failure::new(Reason::Internal, format!("a request did not end: {error}"));
        Refusal::from(failure).into_response()
    })
}

async fn run(call: &Call, head: &request::Parts, body: Arriving) -> Result<Response, Refusal> {
    let headers = &head.headers;
    let fields = Fields::of(headers, body.announced());
    // Without the field this is all there is.
    let (is_resumable, is_last) = (fields.complete.is_some(), fields.complete.unwrap_or(true));
    let length = check_length(call, &fields, is_last)?;
    let expected = digests::content(headers)?;
    let upload = ask(call, head, length).await?;
    if !is_last && body.announced() == Some(0) {
        return answer::taken(call, &upload, true, headers);
    }
    let filled = fill(call, &upload, is_last, expected, body).await;
    if is_resumable || matches!(&filled, Ok(upload) if upload.state() == UploadState::Complete) {
        return answer::taken(call, &filled?, true, headers);
    }
    call.discard(&upload.id).await;
    filled.and_then(|_| {
        let message = "the content broke off, and without Upload-Complete an upload can't be resumed";
        Err(Refusal::inconsistent_length(message))
    })
}

/// The length, if it is told, which must be possible.
fn check_length(call: &Call, fields: &Fields, is_last: bool) -> Result<Option<i64>, Refusal> {
    let length = fields.indicated_length(0, is_last)?;
    let end = fields.end(0);
    if let (Some(length), Some(end)) = (length, end)
        && end > length
    {
        let message = format!("Upload-Length says {length} bytes, and the content has {end}");
        return Err(Refusal::inconsistent_length(message));
    }
    call.check_limit(length.or(end)).map(|()| length)
}

/// Asks the service for an upload as the headers describe it.
async fn ask(call: &Call, head: &request::Parts, length: Option<i64>) -> Result<Upload, Refusal> {
    let request = CreateUploadRequest {
        size_bytes: length,
        file_name: disposition::file_name(&head.headers),
        content_type: content_type(&head.headers)?,
        expected_sha256: digests::representation(&head.headers)?,
        preset: preset(&head.uri),
        ..CreateUploadRequest::default()
    };
    Ok(uploads::create(&call.edge, &call.caller, request).await?)
}

/// Appends the content; gives the upload as it is then.
async fn fill(
    call: &Call,
    upload: &Upload,
    is_last: bool,
    expected: Option<Expected>,
    body: Arriving,
) -> Result<Upload, Refusal> {
    let append = Append {
        upload_id: upload.id.clone(),
        is_last,
        strict: true,
        expected,
        ..Append::default()
    };
    match append::append(&call.edge, &call.caller, append, body).await {
        Ok(upload) => Ok(upload),
        Err(failure) if failure.reason == Reason::SizeExceeded => {
            Err(call.overrun(&upload.id, upload.size_bytes).await)
        }
        // Whatever else went wrong, the client can go on with what is there.
        Err(failure) => {
            let place = call.location(upload);
            Err(Refusal::after(call, upload, failure, 0).with(header::LOCATION, place))
        }
    }
}

/// The media type, if it is one of a file.
fn content_type(headers: &HeaderMap) -> Result<String, Refusal> {
    let coding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        let message = "files are taken as they are: send it without Content-Encoding";
        let taken = HeaderValue::from_static("identity");
        return Err(Refusal::unsupported(message, header::ACCEPT_ENCODING, taken));
    }
    let told = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = told.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(FORM) {
        let message = "the file itself is the content, not a form: send it with its own Content-Type";
        return Err(Refusal::unsupported(
            message,
            header::ACCEPT,
            HeaderValue::from_static("*/*"),
        ));
    }
    let is_none = essence.eq_ignore_ascii_case(NO_TYPE);
    Ok(if is_none { String::new() } else { told.to_owned() })
}

fn preset(uri: &Uri) -> String {
    let mut parameters = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let told = parameters.find(|(name, _)| name == PRESET);
    told.map_or_else(String::new, |(_, value)| value.into_owned())
}
