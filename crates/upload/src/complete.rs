//! The end of an upload: every byte stored, verified, and never changed again.

use std::{sync::Arc, time::Duration};

use reelway::v1::CompleteUploadRequest;
use reelway_auth::Identity;
use reelway_blob::{BlobError, SourcePlace};
use reelway_catalog::{Commit, Upload};
use reelway_domain::{Failure, Offset, Reason, StagedChange, UploadId, UploadKind, limits};
use reelway_rpc::request::{all_valid, parse_id, violation};
use tracing::Instrument as _;

use crate::{
    ended::{DURABLE_OFFSET, Stopped, shutting_down},
    hash::{RunningHash, hex},
    meter,
    open::Access,
    server::Shared,
    writer::Writer,
};

impl Shared {
    /// Completes an upload at the length that the client names.
    ///
    /// # Errors
    /// `SIZE_MISMATCH` if that is not what is durable, `FILE_CHECKSUM_MISMATCH` if the bytes are others, and those of
    /// [`Shared::open`].
    pub(crate) async fn complete(
        self: &Arc<Self>,
        caller: &Identity,
        request: &CompleteUploadRequest,
    ) -> Result<Upload, Failure> {
        let mut violations = Vec::new();
        let id = parse_id::<UploadId>("upload_id", &request.upload_id, &mut violations);
        if !(0..=limits::UPLOAD_BYTES_MAX).contains(&request.size_bytes) {
            let description = format!("must be 0 to {}", limits::UPLOAD_BYTES_MAX);
            violations.push(violation("size_bytes", description));
        }
        all_valid(violations)?;
        // Without a violation there is an id.
        let id = id.ok_or_else(|| Failure::new(Reason::Internal, "an id was lost"))?;
        self.complete_at(caller, id, Offset(request.size_bytes)).await
    }

    /// As [`Shared::complete`], with a request that is known to be right.
    pub(crate) async fn complete_at(
        self: &Arc<Self>,
        caller: &Identity,
        id: UploadId,
        size: Offset,
    ) -> Result<Upload, Failure> {
        let upload = match self.open(caller, id).await? {
            Access::Complete(upload) => upload,
            Access::Granted(mut writer, seat) => {
                let completed = tokio::select! {
                    biased;
                    () = seat.fenced() => Err(Stopped::Fenced),
                    completed = writer.complete(size) => completed,
                };
                match completed {
                    Ok(()) => writer.row,
                    Err(stopped) => self.told(&caller.tenant, id, stopped).await?,
                }
            }
        };
        if upload.size == Some(size.0) {
            Ok(upload)
        } else {
            Err(size_mismatch(&upload, size))
        }
    }
}

impl Shared {
    /// Removes what an upload was staged in, beside what is done next. What fails here is done by the next sweep.
    fn tidy(self: &Arc<Self>, place: SourcePlace) {
        if !self.store.is_bucket() {
            return;
        }
        let shared = Arc::clone(self);
        let tidied = async move {
            if let Err(error) = shared.store.tidy_upload(&place).await {
                tracing::warn!(upload.id = %place.upload, %error, "what an upload was staged in is left");
            }
        };
        self.calls.spawn(tidied.in_current_span());
    }
}

impl Writer {
    /// Completes the upload at `size`, which must be what is written and, if it was known before, what was promised.
    pub(crate) async fn complete(&mut self, size: Offset) -> Result<(), Stopped> {
        if size != self.written || self.row.size.is_some_and(|known| known != size.0) {
            self.settle().await?;
            return Err(size_mismatch(&self.row, size).into());
        }
        self.finish_commit().await?;
        let gathered = self.gather().await?;
        let place = self.assemble(size).await?;
        if let Some(expected) = self.row.expected_sha256 {
            let actual = self.digest(&place, size).await?;
            if actual != expected {
                return Err(self.fail(other_file(&self.row, &expected, &actual)).await);
            }
        }
        let proven = self.shared.prove_tail(&self.row, &place, size).await;
        let (id, epoch) = (self.row.id, self.row.writer_epoch);
        let key = place.key.as_deref();
        match self.shared.catalog.complete_upload_in(id, epoch, size.0, key).await? {
            Commit::Superseded => Err(Stopped::Fenced),
            Commit::Done(mut row) => {
                meter::completed().increment(1);
                if let Some(at) = row.completed_at {
                    let took = u64::try_from(at.0 - row.created_at.0).unwrap_or_default();
                    meter::duration_seconds().record(Duration::from_millis(took));
                }
                tracing::info!(upload.id = %id, size_bytes = size.0, "upload complete");
                self.shared.drop_files(&row, &gathered).await;
                if let Some(tail) = row.tail_offset {
                    // Another one may have come since the last commit.
                    if proven != Some(tail) {
                        row.tail_offset = self.shared.prove_tail(&row, &place, size).await;
                    }
                    self.shared.remove_tail(id, tail).await;
                }
                self.shared.tidy(place);
                if row.kind == UploadKind::Partial {
                    self.shared.parts_changed.notify_one();
                }
                self.advance(row);
                Ok(())
            }
        }
    }

    /// Makes the upload one file or object that holds all of it, durably, and says where that is.
    async fn assemble(&mut self, size: Offset) -> Result<SourcePlace, Stopped> {
        if self.shared.store.is_bucket() {
            // Nothing may come behind what is about to be made one object.
            self.declare(size.0).await?;
        }
        let synced = self.file.finish(size).await?;
        if synced.change != StagedChange::default() {
            let recorded = self.shared.record(&self.row, &self.file, &synced).await?;
            self.take(recorded)?;
        }
        let key = match self.file.assemble(size).await {
            Err(BlobError::PartsChanged { numbers }) => return Err(self.lose(&numbers).await),
            key => key?,
        };
        Ok(SourcePlace {
            upload: self.row.id,
            file: self.row.file_epoch,
            key,
        })
    }

    /// Remembers which parts have to be put again, and says so.
    async fn lose(&mut self, numbers: &[u32]) -> Stopped {
        let (id, epoch, expiry) = (self.row.id, self.row.writer_epoch, self.shared.settings.expiry);
        match self.shared.catalog.lose_parts(id, epoch, expiry, numbers).await {
            Err(error) => return error.into(),
            Ok(Commit::Superseded) => return Stopped::Fenced,
            Ok(Commit::Done(row)) => self.row = row,
        }
        let numbers = numbers.to_vec();
        let failure: Failure = BlobError::PartsChanged { numbers }.into();
        failure.with("uploadId", id).into()
    }

    /// The digest of the file. Reading a large one takes long, so what is there is recorded first.
    async fn digest(&mut self, place: &SourcePlace, size: Offset) -> Result<[u8; 32], Stopped> {
        if let Some(hash) = self.hash.take() {
            return Ok(RunningHash::digest(hash));
        }
        self.settle().await?;
        tokio::select! {
            biased;
            // Whoever opens the upload next completes it.
            () = self.shared.shutdown.cancelled() => Err(shutting_down().into()),
            digest = self.shared.store.sha256(place, size) => Ok(digest?),
        }
    }

    /// Ends an upload that can't become what it was to be, and frees its bytes.
    pub(crate) async fn fail(&mut self, failure: Failure) -> Stopped {
        let (id, epoch) = (self.row.id, self.row.writer_epoch);
        match self.shared.catalog.fail_upload(id, epoch, &failure).await {
            Err(error) => return error.into(),
            Ok(Commit::Superseded) => return Stopped::Fenced,
            Ok(Commit::Done(row)) => self.row = row,
        }
        meter::failed().increment(1);
        tracing::info!(upload.id = %id, %failure, "upload failed");
        self.shared.free(id).await;
        failure.into()
    }
}

/// The bytes are others than were promised.
fn other_file(upload: &Upload, expected: &[u8; 32], actual: &[u8; 32]) -> Failure {
    let message = "the file is not what its SHA-256 says; its bytes were removed; create another upload";
    Failure::new(Reason::FileChecksumMismatch, message)
        .with("uploadId", upload.id)
        .with("expectedSha256", hex(expected))
        .with("actualSha256", hex(actual))
}

/// The file can't end where the client says.
pub(crate) fn size_mismatch(upload: &Upload, size: Offset) -> Failure {
    let message = "the upload can't end at this size: it is not what is durable, or not the length that was promised";
    let failure = Failure::new(Reason::SizeMismatch, message)
        .with("sizeBytes", size)
        .with(DURABLE_OFFSET, upload.durable_offset);
    match upload.size {
        Some(promised) => failure.with("promisedSizeBytes", promised),
        None => failure,
    }
}
