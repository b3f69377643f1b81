//! Why an upload can't be written, or not any more, and what its client hears.

use reelway_blob::BlobError;
use reelway_catalog::Upload;
use reelway_domain::{Failure, Reason, Tenant, UploadId, UploadState};

use crate::server::Shared;

/// The key under which a failure tells where the client can go on.
pub(crate) const DURABLE_OFFSET: &str = "durableOffset";

/// Why a writer had to stop.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A later writer is there, or the upload has ended. Only the catalog knows which.
    Fenced,
    /// Something is wrong.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<BlobError> for Stopped {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Superseded { .. } => Self::Fenced,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<reelway_catalog::Error> for Stopped {
    fn from(error: reelway_catalog::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Shared {
    /// What the client of a stream hears whose writer had to stop. Only what this very writer completed is its success: if
    /// another one was faster, the bytes that are there may be others than this client sent.
    pub(crate) async fn told_writer(&self, row: &Upload, stopped: Stopped) -> Result<Upload, Failure> {
        let upload = self.told(&row.tenant, row.id, stopped).await?;
        if upload.writer_epoch == row.writer_epoch {
            return Ok(upload);
        }
        let message = "another stream wrote this upload and completed it; ask for it to see what became of it";
        Err(Failure::new(Reason::WriterSuperseded, message)
            .with("uploadId", upload.id)
            .with(DURABLE_OFFSET, upload.durable_offset))
    }

    /// What somebody hears who sent no bytes and had to stop. If the upload is complete, whoever completed it, that is what was
    /// wanted.
    pub(crate) async fn told(&self, tenant: &Tenant, id: UploadId, stopped: Stopped) -> Result<Upload, Failure> {
        match stopped {
            Stopped::Failed(failure) => Err(failure),
            Stopped::Fenced => outcome(self.find(tenant, id).await?),
        }
    }

    /// The upload.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND` if the tenant has no such upload.
    pub(crate) async fn find(&self, tenant: &Tenant, id: UploadId) -> Result<Upload, Failure> {
        self.catalog.upload(tenant, id).await?.ok_or_else(|| not_found(id))
    }
}

/// What an upload means for somebody who may not write it: done, or why not.
pub(crate) fn outcome(upload: Upload) -> Result<Upload, Failure> {
    let (reason, message) = match upload.state {
        UploadState::Complete => return Ok(upload),
        UploadState::Receiving => (
            Reason::WriterSuperseded,
            "another stream writes this upload now; ask for the durable offset and go on from there",
        ),
        UploadState::Failed => (
            Reason::UploadFailed,
            "the upload has failed; its error says why; create another one",
        ),
        UploadState::Aborted => (Reason::UploadAborted, "the upload was aborted; create another one"),
        UploadState::Expired => (
            Reason::UploadExpired,
            "nothing came for too long and the upload expired; create another one",
        ),
    };
    Err(Failure::new(reason, message)
        .with("uploadId", upload.id)
        .with(DURABLE_OFFSET, upload.durable_offset))
}

/// Somebody else is about to write.
pub(crate) fn asked_to_end() -> Failure {
    let message = "somebody is about to go on with this upload; ask for the durable offset and go on from there";
    Failure::new(Reason::WriterSuperseded, message)
}

/// Clients don't write this upload.
pub(crate) fn not_writable(id: UploadId) -> Failure {
    let message = "the upload is put together from others; write those";
    Failure::new(Reason::UploadNotWritable, message).with("uploadId", id)
}

/// The tenant has no such upload.
pub(crate) fn not_found(id: UploadId) -> Failure {
    Failure::new(Reason::UploadNotFound, "no such upload").with("uploadId", id)
}

/// The server goes down.
pub(crate) fn shutting_down() -> Failure {
    Failure::new(
        Reason::ShuttingDown,
        "the server is going down; ask for the durable offset and go on from there",
    )
}
