//! Where everything lies in the bucket, below the prefix that the store was given:
//!
//! ```text
//! store.id
//! uploads/upl_…/source-7             the upload, made whole by its writer with epoch 7
//! uploads/upl_…/rest-7-8388608       bytes from 8388608 on that are not a part yet, stored by writer 7
//! uploads/upl_…/seen-3               a copy of part 3 that workers read before the upload is complete
//! uploads/upl_…/tail-99999744        the last bytes, sent ahead
//! outputs/job_…/video-0003-e1/…      what was made of it
//! ```
//!
//! Whoever writes something puts its epoch into the name, or the number of a part that nobody else uses, so that nobody overwrites
//! what another one has stored.

use object_store::path::Path;
use reelway_domain::{JobId, Offset, UploadId, WriterEpoch};

/// Where uploads are.
const UPLOADS: &str = "uploads";
/// Where outputs are.
const OUTPUTS: &str = "outputs";
/// Where checks write.
const CHECKS: &str = "checks";

/// Makes names below one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: Path,
}

impl Names {
    pub(crate) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    /// The store's id.
    pub(crate) fn identity(&self) -> Path {
        self.prefix.clone().join("store.id")
    }

    /// What a check writes and removes; one name for each process, so that checks don't disturb one another.
    pub(crate) fn check(&self, process: &str) -> Path {
        self.prefix.clone().join(CHECKS).join(process)
    }

    /// Everything, and what is not ours if there is no prefix.
    pub(crate) fn all(&self) -> &Path {
        &self.prefix
    }

    /// Everything that checks wrote.
    pub(crate) fn checks(&self) -> Path {
        self.prefix.clone().join(CHECKS)
    }

    /// Everything of all uploads.
    pub(crate) fn uploads(&self) -> Path {
        self.prefix.clone().join(UPLOADS)
    }

    /// Everything of an upload.
    pub(crate) fn upload(&self, id: UploadId) -> Path {
        self.uploads().join(id.to_string())
    }

    /// The whole upload, as the writer with this epoch makes it.
    pub(crate) fn source(&self, id: UploadId, epoch: WriterEpoch) -> Path {
        self.upload(id).join(format!("source-{epoch}"))
    }

    /// Bytes from an offset on that are not a part yet.
    pub(crate) fn rest(&self, id: UploadId, epoch: WriterEpoch, from: u64) -> Path {
        self.upload(id).join(format!("rest-{epoch}-{from}"))
    }

    /// A copy of a part that can be read before the upload is complete.
    pub(crate) fn seen(&self, id: UploadId, number: u32) -> Path {
        self.upload(id).join(format!("seen-{number}"))
    }

    /// The tail that begins at an offset.
    pub(crate) fn tail(&self, id: UploadId, tail: Offset) -> Path {
        self.upload(id).join(format!("tail-{tail}"))
    }

    /// Everything of all jobs.
    pub(crate) fn outputs(&self) -> Path {
        self.prefix.clone().join(OUTPUTS)
    }

    /// Everything of a job.
    pub(crate) fn job(&self, id: JobId) -> Path {
        self.outputs().join(id.to_string())
    }
}
