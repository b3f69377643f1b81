//! Becoming the only writer of an upload: in the catalog, in this process, and in the store, in this order.

use std::sync::Arc;

use reelway_auth::{Identity, Scope};
use reelway_blob::{Begin, BlobError, Staging};
use reelway_catalog::{Opened, Upload};
use reelway_domain::{Failure, Hint, Notice, Offset, UploadId, UploadKind, UploadState};
use tracing::Instrument as _;

use crate::{
    caller::check_grant,
    ended::{Stopped, not_found, not_writable, outcome},
    meter,
    registry::Seat,
    server::Shared,
    writer::Writer,
};

/// What came of opening an upload for writing.
pub(crate) enum Access {
    /// The caller is the writer, until the seat is fenced.
    Granted(Writer, Seat),
    /// Nothing is left to write.
    Complete(Upload),
}

impl Shared {
    /// Takes the upload over from whoever wrote it.
    ///
    /// # Errors
    /// Why it can't be written: `PERMISSION_MISSING`, `UPLOAD_NOT_FOUND`, `UPLOAD_NOT_WRITABLE`, `UPLOAD_ABORTED`,
    /// `UPLOAD_EXPIRED`, `UPLOAD_FAILED`, `WRITER_SUPERSEDED` if yet another writer was faster, or what the catalog or the store
    /// say.
    pub(crate) async fn open(self: &Arc<Self>, caller: &Identity, id: UploadId) -> Result<Access, Failure> {
        caller.require_upload(id, Scope::UploadsWrite)?;
        let _opening = self.openings.begin(id);
        let (tenant, writer) = (&caller.tenant, self.store.writer_id());
        let row = match self.catalog.open_writer(tenant, id, writer).await? {
            Opened::Unknown => return Err(not_found(id)),
            Opened::Ended(upload) => {
                check_grant(caller, &upload)?;
                if upload.kind == UploadKind::Joined {
                    return Err(not_writable(id));
                }
                return outcome(upload).map(Access::Complete);
            }
            Opened::Writer(row) => row,
        };
        check_grant(caller, &row)?;
        if row.file_epoch.0 == row.writer_epoch.0 {
            self.announce(&row);
        }
        match self.enter(&row).await {
            Ok((file, seat)) => {
                if row.durable_offset.0 > 0 {
                    meter::resumes().increment(1);
                }
                Ok(Access::Granted(Writer::new(Arc::clone(self), row, file, &seat), seat))
            }
            Err(stopped) => self.told(tenant, id, stopped).await.map(Access::Complete),
        }
    }

    /// Takes a writer's place in this process and in the store.
    pub(crate) async fn enter(&self, row: &Upload) -> Result<(Staging, Seat), Stopped> {
        let seat = self.registry.enter(row.id, row.writer_epoch).ok_or(Stopped::Fenced)?;
        if row.job.is_some() {
            // A task may wait for its first bytes, which are there at once.
            self.look_now.notify_one();
        }
        let staged = match self.store.is_bucket() {
            true => Some(self.catalog.staged(row.id).await?),
            false => None,
        };
        let begin = Begin {
            upload: row.id,
            epoch: row.writer_epoch,
            file: row.file_epoch,
            size: row.size.map(Offset),
            staged,
            is_watched: row.job.is_some(),
        };
        let opened = self.store.open_writer(begin).await;
        // The store remembers only writers that are there: one that came after us and has gone is known to the catalog
        // alone. An upload that was aborted meanwhile has no file either.
        self.still_writes(row).await?;
        if let Err(error @ BlobError::NotFound { .. }) = &opened {
            tracing::error!(upload.id = %row.id, %error, "the bytes of an upload are gone");
        }
        Ok((opened?, seat))
    }

    /// Checks that the writer that was given this row is still the newest.
    pub(crate) async fn still_writes(&self, row: &Upload) -> Result<(), Stopped> {
        let now = self.find(&row.tenant, row.id).await?;
        if now.writer_epoch == row.writer_epoch && now.state == UploadState::Receiving {
            Ok(())
        } else {
            Err(Stopped::Fenced)
        }
    }

    /// Tells the other servers that one of them may have a writer that is to end. They would find out by themselves.
    pub(crate) fn announce(self: &Arc<Self>, row: &Upload) {
        let (upload, epoch) = (row.id, row.writer_epoch);
        tracing::info!(upload.id = %upload, writer_epoch = epoch.0, durable_offset = row.durable_offset.0, "took over");
        self.tell(Hint::Writer { upload, epoch });
    }

    /// Tells the other servers, without waiting for the bus.
    pub(crate) fn tell(self: &Arc<Self>, hint: Hint) {
        let shared = Arc::clone(self);
        let told = async move {
            if let Err(error) = shared.bus.publish(&[Notice::from(hint)]).await {
                tracing::debug!(?hint, %error, "nobody was told");
            }
        };
        self.calls.spawn(told.in_current_span());
    }
}
