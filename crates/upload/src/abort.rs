//! Giving an upload up.

use reelway_catalog::{Upload, UploadEnd};
use reelway_domain::{Failure, Reason, Tenant, UploadId, UploadState};

use crate::{
    ended::{not_found, outcome},
    meter,
    server::Shared,
};

impl Shared {
    /// Aborts an upload, ends its writer, and frees its bytes. It is fine if it was aborted before.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND`; `UPLOAD_COMPLETE`, `UPLOAD_FAILED` or `UPLOAD_EXPIRED` if it ended otherwise.
    pub(crate) async fn abort(&self, tenant: &Tenant, id: UploadId) -> Result<Upload, Failure> {
        match self.catalog.abort_upload(tenant, id).await? {
            UploadEnd::Unknown => Err(not_found(id)),
            UploadEnd::Ended(upload) => {
                meter::aborted().increment(1);
                tracing::info!(upload.id = %id, "upload aborted");
                self.registry.end(id);
                self.free(id).await;
                Ok(upload)
            }
            UploadEnd::Before(upload) if upload.state == UploadState::Aborted => Ok(upload),
            UploadEnd::Before(upload) => {
                let upload = outcome(upload)?;
                let message = "the upload is complete; delete its job instead";
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
