//! The end of a file ahead of the rest: `PUT` of `…/tail` below an upload, of either protocol.
//!
//! A page that uploads a film whose index stands at its end sends the end first, so that it can be played before all of it has
//! arrived. Where the body lies is said by `Content-Range: bytes 700-999/1000` (RFC 9110, section 14.4; section 14.5 has PUT with
//! it): it must reach to the last byte. It counts as a preview alone, so the upload goes on from its own offset as if there was
//! none, and what is refused here does it no harm.
//!
//! Whoever creates an upload that takes a tail is told where by a `Link` (RFC 8288) with [`RELATION`]; `OPTIONS` tells by
//! `Upload-Tail-Limit` that there is such a thing; `HEAD` of the upload tells by `Upload-Tail-Offset` where its tail begins.

mod range;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reelway::v1::{PutUploadTailRequest, Upload, UploadState};
use reelway_domain::{Failure, Reason, UploadId, limits};
use reelway_rpc::send_directly;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::{
    Edge,
    append::{Arrived, Arriving, failure},
    caller::Caller,
    uploads,
};
use range::Range;

/// What stands behind an upload's path.
const PATH_END: &str = "/tail";
/// What the address of the tail is to the upload.
const RELATION: &str = "https://reelway.dev/rel/upload-tail";
/// The most bytes of a tail.
const UPLOAD_TAIL_LIMIT: HeaderName = HeaderName::from_static("upload-tail-limit");
/// Where in the upload its tail begins.
const UPLOAD_TAIL_OFFSET: HeaderName = HeaderName::from_static("upload-tail-offset");
/// Messages that wait for the service.
const AHEAD_MAX: usize = 1;

/// The upload whose tail this is the name of.
pub(crate) fn upload_of(name: &str) -> Option<UploadId> {
    name.strip_suffix(PATH_END)?.parse().ok()
}

/// Says that tails are taken here.
pub(crate) fn offer(headers: &mut HeaderMap) {
    headers.insert(UPLOAD_TAIL_LIMIT, HeaderValue::from(limits::TAIL_BYTES_MAX));
}

/// Says where the tail of this upload is to be put, or where it begins. `location` is the upload's address.
pub(crate) fn describe(headers: &mut HeaderMap, upload: &Upload, location: Option<&HeaderValue>) {
    if let Some(offset) = upload.tail_offset {
        headers.insert(UPLOAD_TAIL_OFFSET, HeaderValue::from(offset));
        return;
    }
    let is_whole = !upload.partial && upload.part_upload_ids.is_empty();
    let is_welcome = is_whole && upload.state() == UploadState::Receiving && upload.size_bytes.is_some();
    if let Some(Ok(location)) = location.filter(|_| is_welcome).map(HeaderValue::to_str) {
        let link = HeaderValue::try_from(format!("<{location}{PATH_END}>; rel=\"{RELATION}\""));
        headers.extend(link.ok().map(|link| (header::LINK, link)));
    }
}

/// Takes the tail of an upload. Goes on if the client leaves, so that a tail that is there is known.
///
/// # Errors
/// `FIELD_INVALID` if `Content-Range` isn't one that names the last bytes of a file, `SIZE_MISMATCH` if it speaks of another length
/// than the upload or the body has, `BODY_TOO_LARGE` if the tail is too long, `STREAM_IDLE` if it came too slowly, and what the service
/// refuses with.
pub(crate) async fn put(
    edge: &Edge,
    caller: &Caller,
    id: UploadId,
    headers: &HeaderMap,
    body: Arriving,
) -> Result<Response, Failure> {
    let range = Range::of(headers)?;
    if body.announced().is_some_and(|bytes| bytes != range.bytes()) {
        return Err(other_length("the body is not as long as Content-Range says", &range));
    }
    if range.bytes() > limits::TAIL_BYTES_MAX {
        let message = format!(
            "a tail may have at most {} bytes; send the file in order",
            limits::TAIL_BYTES_MAX
        );
        return Err(Failure::new(Reason::BodyTooLarge, message).with("tailBytesMax", limits::TAIL_BYTES_MAX));
    }
    let upload = uploads::find(edge, caller, id, false).await?;
    if upload.size_bytes.is_some_and(|size| size != range.size) {
        let failure = other_length("the upload is not as long as Content-Range says", &range);
        return Err(failure.with("promisedSizeBytes", upload.size_bytes.unwrap_or_default()));
    }
    let (edge, caller) = (edge.clone(), caller.clone());
    let body = body.idle_at_most(edge.settings.body_idle_max);
    let sending = async move { send(&edge, &caller, id, &range, body).await };
    let sent = tokio::spawn(sending.in_current_span()).await;
    let upload = sent.map_err(|error| Failure::new(Reason::Internal, format!("a tail did not end: {error}")))??;
    let mut response = StatusCode::NO_CONTENT.into_response();
    describe(response.headers_mut(), &upload, None);
    Ok(response)
}

/// Hands the body on as it arrives.
async fn send(
    edge: &Edge,
    caller: &Caller,
    id: UploadId,
    range: &Range,
    mut body: Arriving,
) -> Result<Upload, Failure> {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    let mut uploads = edge.upstream.uploads();
    let calling = uploads.put_upload_tail(send_directly(caller.request(()), receiver));
    let (fed, answer) = tokio::join!(feed(id, range, &mut body, sender), calling);
    // A body that stops early is refused by the service too, but why it did is known here.
    fed?;
    let upload = answer.map_err(failure)?.into_inner().upload;
    upload.ok_or_else(|| Failure::new(Reason::Internal, "the service said nothing of the upload"))
}

/// Ends early if the service takes no more; it says why.
async fn feed(
    id: UploadId,
    range: &Range,
    body: &mut Arriving,
    sender: mpsc::Sender<PutUploadTailRequest>,
) -> Result<(), Failure> {
    let (mut upload_id, mut offset) = (id.to_string(), range.first);
    loop {
        let data = match body.next().await {
            Arrived::Bytes(data) => data,
            Arrived::End(_) => return Ok(()),
            Arrived::Cut => return Err(other_length("the body ended too soon", range)),
            Arrived::TooSlow => {
                let message = "the body came too slowly; the tail was dropped";
                return Err(Failure::new(Reason::StreamIdle, message));
            }
        };
        let next = offset.saturating_add(i64::try_from(data.len()).unwrap_or(i64::MAX));
        let message = PutUploadTailRequest {
            upload_id: std::mem::take(&mut upload_id),
            offset,
            data,
        };
        offset = next;
        if sender.send(message).await.is_err() {
            return Ok(());
        }
    }
}

fn other_length(message: &str, range: &Range) -> Failure {
    Failure::new(Reason::SizeMismatch, message)
        .with("sizeBytes", range.size)
        .with("tailBytes", range.bytes())
}

#[cfg(test)]
mod tests;
