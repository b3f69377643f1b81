//! Ending whoever writes an upload, wherever that is, so that somebody else can go on from an offset that stays.
//!
//! Whether somebody writes is known without asking anybody: by this process's own registry, and by the row. Opening a stream names
//! its process there in the same statement that takes the epoch, and a stream that has ended well takes the name out again. So a
//! row that names nobody, or this process, is not written elsewhere, and one read of it is the whole answer. A row that names
//! another process may be the row of a dead one. That one is asked in vain and then fenced out, which takes its name away, so
//! that the next call is cheap again.

use std::{sync::Arc, time::Duration};

use reelway_catalog::Upload;
use reelway_domain::{Failure, Hint, Tenant, UploadId, UploadKind, UploadState};
use tokio::time::{interval, timeout};

use crate::server::Shared;

/// How long a writer may take to make durable what it got, before it is fenced out.
const HAND_OVER_MAX: Duration = Duration::from_millis(700);
/// How often the row of an upload is looked at that another process is to let go.
const LOOK_EVERY: Duration = Duration::from_millis(25);

impl Shared {
    /// Ends the writer of an upload, if there is one, and gives the upload as the next writer finds it. Takes little more than
    /// [`HAND_OVER_MAX`] at most. An upload that takes no more bytes is left alone, and one that no client writes.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND`, or what the catalog says.
    pub(crate) async fn end_writer(self: &Arc<Self>, tenant: &Tenant, id: UploadId) -> Result<Upload, Failure> {
        // Before the row is read: a stream of this process that ends in between has recorded all it had.
        let is_here = self.openings.of(id).is_some() || self.registry.writes(id);
        let upload = self.find(tenant, id).await?;
        let is_elsewhere = upload.writer.is_some_and(|writer| writer != self.store.writer_id());
        if !takes_bytes(&upload) || upload.kind == UploadKind::Joined || !(is_here || is_elsewhere) {
            return Ok(upload);
        }
        let ended = async {
            if is_elsewhere {
                let epoch = upload.writer_epoch;
                self.tell(Hint::WriterAsked { upload: id, epoch });
                self.let_go_elsewhere(&upload).await
            } else {
                self.ended_here(id).await;
                self.find(tenant, id).await
            }
        };
        match timeout(HAND_OVER_MAX, ended).await {
            Ok(ended) => ended,
            Err(_) => self.fence(&upload).await,
        }
    }

    /// Asks the writer in this process to end, and waits for it.
    async fn ended_here(&self, id: UploadId) {
        if let Some(over) = self.openings.of(id) {
            over.cancelled().await;
        }
        if let Some(gone) = self.registry.ask(id, None) {
            gone.cancelled().await;
        }
    }

    /// Waits until the writer that the row names is not the writer any more.
    async fn let_go_elsewhere(&self, before: &Upload) -> Result<Upload, Failure> {
        let mut look = interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let now = self.find(&before.tenant, before.id).await?;
            let is_same = now.writer_epoch == before.writer_epoch && now.writer.is_some();
            if !is_same || !takes_bytes(&now) {
                return Ok(now);
            }
        }
    }

    /// Shuts a writer out that didn't end in time. What it got and didn't make durable is sent again.
    async fn fence(self: &Arc<Self>, before: &Upload) -> Result<Upload, Failure> {
        let newest = self.find(&before.tenant, before.id).await?;
        if !takes_bytes(&newest) {
            return Ok(newest);
        }
        let Some(fenced) = self.catalog.fence_writer(newest.id, newest.writer_epoch).await? else {
            return self.find(&before.tenant, before.id).await;
        };
        self.registry.end_before(fenced.id, fenced.writer_epoch);
        self.announce(&fenced);
        Ok(fenced)
    }
}

/// Whether more bytes can come. While a whole file is being verified its writer is left in peace: it has nothing to hand over.
fn takes_bytes(upload: &Upload) -> bool {
    upload.state == UploadState::Receiving && upload.size != Some(upload.durable_offset.0)
}
