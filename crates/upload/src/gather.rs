//! Bringing an upload together that was written to several files.

use std::path::PathBuf;

use reelway_blob::{BlobError, StagedFile, Staging};
use reelway_catalog::{EarlierBytes, Upload};
use reelway_domain::FileEpoch;

use crate::{
    ended::{Stopped, shutting_down},
    server::Shared,
    writer::Writer,
};

impl Writer {
    /// Fills in what writers in other processes wrote, so that this writer's file holds the whole upload. Whoever is killed
    /// here leaves it to the next writer, who begins again. Gives the files that nobody needs once the upload is complete.
    pub(crate) async fn gather(&mut self) -> Result<Vec<FileEpoch>, Stopped> {
        let (Staging::File(file), Some(disk)) = (&self.file, self.shared.store.disk()) else {
            return Ok(Vec::new());
        };
        if self.row.file_epoch == FileEpoch::FIRST {
            return Ok(Vec::new());
        }
        let (file, disk) = (file.clone(), disk.clone());
        // Copying may take long, so what is there is recorded first.
        self.settle().await?;
        let earlier = self.shared.catalog.earlier_bytes(&self.row).await?;
        let earlier = earlier.ok_or(Stopped::Fenced)?;
        for bytes in earlier.iter().filter(|bytes| bytes.from < bytes.to) {
            let path = disk.upload_path(self.row.id, bytes.file);
            self.fill_in(&file, path, bytes).await?;
        }
        Ok(earlier.iter().map(|bytes| bytes.file).collect())
    }

    async fn fill_in(&self, file: &StagedFile, path: PathBuf, bytes: &EarlierBytes) -> Result<(), Stopped> {
        let filled = tokio::select! {
            biased;
            // Whoever opens the upload next completes it.
            () = self.shared.shutdown.cancelled() => return Err(shutting_down().into()),
            filled = file.fill_in(path, bytes.from, bytes.to) => filled,
        };
        if let Err(BlobError::NotFound { .. } | BlobError::Short { .. }) = &filled {
            // Whoever was faster to complete the upload has removed the file.
            self.shared.still_writes(&self.row).await?;
        }
        Ok(filled?)
    }
}

impl Shared {
    /// Removes files whose bytes are in another one now. What fails here is done by the next sweep.
    pub(crate) async fn drop_files(&self, upload: &Upload, files: &[FileEpoch]) {
        for file in files {
            let Some(disk) = self.store.disk() else { return };
            if let Err(error) = disk.remove_upload_file(upload.id, *file).await {
                tracing::warn!(upload.id = %upload.id, %error, "a file that is not needed any more is left");
            }
        }
    }
}
