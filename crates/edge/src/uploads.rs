//! What every way in asks the upload service: to create, to find, to give up.

use reelway::v1::{AbortUploadRequest, CreateUploadRequest, GetUploadRequest, Upload, UploadState};
use reelway_domain::{Failure, Reason, UploadId};

use crate::{Edge, append::failure, caller::Caller};

/// Creates an upload.
///
/// # Errors
/// What the service refuses with.
pub(crate) async fn create(edge: &Edge, caller: &Caller, request: CreateUploadRequest) -> Result<Upload, Failure> {
    let answer = edge
        .upstream
        .uploads()
        .create_upload(caller.request(request))
        .await
        .map_err(failure)?;
    told(answer.into_inner().upload)
}

/// The upload as it is now. With `end_writer` whoever writes it ends first, so the offset is where the next one begins.
///
/// # Errors
/// `UPLOAD_ABORTED`, `UPLOAD_EXPIRED` or `UPLOAD_FAILED` if it came to nothing, and what the service refuses with.
pub(crate) async fn find(edge: &Edge, caller: &Caller, id: UploadId, end_writer: bool) -> Result<Upload, Failure> {
    let upload_id = id.to_string();
    let request = caller.request(GetUploadRequest { upload_id, end_writer });
    let answer = edge.upstream.uploads().get_upload(request).await.map_err(failure)?;
    usable(told(answer.into_inner().upload)?)
}

/// Gives an upload up; `also_complete`: one that is complete as well.
///
/// # Errors
/// What the service refuses with.
pub(crate) async fn abort(edge: &Edge, caller: &Caller, id: &str, also_complete: bool) -> Result<(), Failure> {
    let upload_id = id.to_owned();
    let request = caller.request(AbortUploadRequest {
        upload_id,
        also_complete,
    });
    edge.upstream.uploads().abort_upload(request).await.map_err(failure)?;
    Ok(())
}

fn told(upload: Option<Upload>) -> Result<Upload, Failure> {
    upload.ok_or_else(|| Failure::new(Reason::Internal, "the service said nothing of the upload"))
}

/// An upload that a client can still do something with.
fn usable(upload: Upload) -> Result<Upload, Failure> {
    let (reason, message) = match upload.state() {
        UploadState::Receiving | UploadState::Complete => return Ok(upload),
        UploadState::Aborted => (Reason::UploadAborted, "the upload was given up; create another one"),
        UploadState::Expired => (
            Reason::UploadExpired,
            "nothing came for too long and the upload expired; create another one",
        ),
        UploadState::Failed => (
            Reason::UploadFailed,
            "the bytes were not what was promised; create another upload",
        ),
        UploadState::Unspecified => (Reason::Internal, "the service told no state"),
    };
    Err(Failure::new(reason, message).with("uploadId", upload.id))
}
