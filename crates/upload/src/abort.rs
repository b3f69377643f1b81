//! Giving an upload up.

use reelway_auth::{Identity, Scope};
use reelway_catalog::{Upload, UploadEnd};
use reelway_domain::{Failure, Reason, UploadId, UploadKind, UploadState};

use crate::{
    ended::{not_found, outcome},
    meter,
    server::Shared,
};

impl Shared {
    /// Aborts an upload, ends its writer, and frees its bytes. It is fine if it was aborted before. A grant is for writing, and
    /// not enough.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND`; `UPLOAD_COMPLETE`, `UPLOAD_FAILED` or `UPLOAD_EXPIRED` if it ended otherwise.
    pub(crate) async fn abort(&self, caller: &Identity, id: UploadId, also_complete: bool) -> Result<Upload, Failure> {
        caller.require(Scope::UploadsWrite)?;
        let ended = if also_complete {
            self.catalog.abort_upload_also_complete(&caller.tenant, id).await?
        } else {
            self.catalog.abort_upload(&caller.tenant, id).await?
        };
        match ended {
            UploadEnd::Unknown => Err(not_found(id)),
            UploadEnd::Ended(upload) => {
                meter::aborted().increment(1);
                tracing::info!(upload.id = %id, "upload aborted");
                self.registry.end(id);
                if upload.kind == UploadKind::Partial {
                    self.parts_changed.notify_one();
                }
                self.free(id).await;
                Ok(upload)
            }
            UploadEnd::Before(upload) if upload.state == UploadState::Aborted => Ok(upload),
            UploadEnd::Before(upload) => {
                let upload = outcome(upload)?;
                let message = match upload.kind {
                    UploadKind::Partial => {
                        "another upload is being put together from this one; try again when that is complete"
                    }
                    UploadKind::Whole | UploadKind::Joined => "the upload is complete; delete its job instead",
                };
                Err(Failure::new(Reason::UploadComplete, message).with("uploadId", upload.id))
            }
        }
    }

    /// Removes the bytes of an upload that came to nothing. What fails here is done by the next sweep.
    pub(crate) async fn free(&self, id: UploadId) {
        if let Err(error) = self.store.remove_upload(id).await {
            tracing::warn!(upload.id = %id, %error, "bytes could not be removed");
            return;
        }
        if let Err(error) = self.catalog.upload_freed(id).await {
            tracing::warn!(upload.id = %id, %error, "removal could not be recorded");
        }
    }
}
