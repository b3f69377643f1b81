//! Creating uploads.

use std::sync::Arc;

use reelway::v1::CreateUploadRequest;
use reelway_auth::{Identity, Scope};
use reelway_catalog::{Created, Error, Upload};
use reelway_domain::{Failure, Offset, UploadKind, UploadState};

use crate::{meter, parse::parse, server::Shared};

impl Shared {
    /// Creates an upload and its job, or finds those that an earlier call with the same request id created. An upload
    /// of length 0 is complete at once.
    ///
    /// # Errors
    /// `FIELD_INVALID` with every wrong field, `PART_UNUSABLE`, `REQUEST_ID_REUSED`, or what the catalog or the store say.
    pub(crate) async fn create(
        self: &Arc<Self>,
        caller: Identity,
        request: CreateUploadRequest,
    ) -> Result<Upload, Failure> {
        caller.require(Scope::UploadsWrite)?;
        let new = parse(caller.tenant.clone(), request, self)?;
        // The file comes first: a file without an upload is swept up, an upload without a file could never be written.
        self.store.create_upload(new.id).await?;
        let created = self.catalog.create_upload(&new).await;
        if is_not_needed(&created)
            && let Err(error) = self.store.remove_upload(new.id).await
        {
            tracing::warn!(upload.id = %new.id, %error, "a file without an upload is left");
        }
        let upload = match created? {
            Created::New(upload) => {
                meter::created().increment(1);
                tracing::info!(upload.id = %upload.id, size_bytes = upload.size, "upload created");
                upload
            }
            Created::Before(upload) => upload,
        };
        if upload.kind == UploadKind::Joined {
            self.parts_changed.notify_one();
        } else if upload.state == UploadState::Receiving && upload.size == Some(0) {
            return self.complete_at(&caller, upload.id, Offset::ZERO).await;
        }
        Ok(upload)
    }
}

/// Whether the file of a new upload is nobody's: the catalog has none, for sure.
fn is_not_needed(created: &Result<Created<Upload>, Error>) -> bool {
    match created {
        Ok(created) => matches!(created, Created::Before(_)),
        Err(error) => matches!(
            error,
            Error::RequestIdReused(_) | Error::PartUnusable(_) | Error::JoinedTooLong(_) | Error::Quota(_)
        ),
    }
}
