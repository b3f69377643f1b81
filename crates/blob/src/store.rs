//! The store on a local disk: `uploads/xx/upl_…` and `outputs/job_…/…` below one directory.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::SystemTime,
};

use reelway_domain::{JobId, Offset, UploadId, WriterEpoch};

use crate::{BlobError, JobOutput, StagedFile, digest, dir, error::Tried as _, fence::Fences, task::blocking};

/// Uploads are spread over so many directories, by the last two digits of their ids.
const SHARDS: u16 = 256;

/// All bytes of a node, on its disk. Clones are the same store.
#[derive(Debug, Clone)]
pub struct DiskStore {
    uploads: PathBuf,
    outputs: PathBuf,
    fences: Arc<Fences>,
}

/// Something that a listing found in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<I> {
    /// What the bytes belong to.
    pub id: I,
    /// When they last changed.
    pub modified: SystemTime,
}

impl DiskStore {
    /// Opens the store below `root`, making what isn't there yet. Blocks: call it at start.
    ///
    /// # Errors
    /// If the directories can't be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let root = root.into();
        fs::create_dir_all(&root).tried("create directory", &root)?;
        // The path must stay the same if the process changes its directory.
        let root = root.canonicalize().tried("find", &root)?;
        if let Some(parent) = root.parent() {
            dir::sync_dir(parent)?;
        }
        let (uploads, outputs) = (root.join("uploads"), root.join("outputs"));
        dir::create(&outputs)?;
        dir::create(&uploads)?;
        for shard in shards(&uploads) {
            dir::create(&shard)?;
        }
        dir::sync_dir(&uploads)?;
        dir::sync_dir(&root)?;
        Ok(Self {
            uploads,
            outputs,
            fences: Arc::default(),
        })
    }

    /// Makes an empty file for an upload, durably. It is fine if it is there already.
    ///
    /// # Errors
    /// If the file can't be made.
    pub async fn create_upload(&self, id: UploadId) -> Result<(), BlobError> {
        let path = self.upload_path(id);
        blocking(move || {
            File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .tried("create", &path)?;
            path.parent().map_or(Ok(()), dir::sync_dir)
        })
        .await
    }

    /// Takes over the writing of an upload. When this has returned, no write of an earlier writer of this process is
    /// under way, and none will begin.
    ///
    /// A writer that was slow to come here may have been superseded by one that came and went: whoever got a handle
    /// asks the catalog whether its epoch is still the newest, before it writes.
    ///
    /// # Errors
    /// [`BlobError::Superseded`] if a later writer is there; [`BlobError::NotFound`] if there is no such upload.
    pub async fn open_writer(&self, id: UploadId, epoch: WriterEpoch) -> Result<StagedFile, BlobError> {
        let (path, fences) = (self.upload_path(id), Arc::clone(&self.fences));
        blocking(move || {
            let file = File::options().write(true).open(&path).tried("open", &path)?;
            Ok(StagedFile::new(file, path, fences.take_over(id, epoch)?))
        })
        .await
    }

    /// The SHA-256 of the first `size` bytes of an upload. Reads with a fixed buffer; to stop it, drop the future.
    ///
    /// # Errors
    /// [`BlobError::Short`] if the file ends before `size`.
    pub async fn sha256(&self, id: UploadId, size: Offset) -> Result<[u8; 32], BlobError> {
        digest::sha256(self.upload_path(id), size).await
    }

    /// Removes an upload's bytes. It is fine if there are none.
    ///
    /// # Errors
    /// If the file can't be removed.
    pub async fn remove_upload(&self, id: UploadId) -> Result<(), BlobError> {
        let path = self.upload_path(id);
        blocking(move || dir::remove(&path)).await
    }

    /// Where an upload's bytes are on this disk.
    #[must_use]
    pub fn upload_path(&self, id: UploadId) -> PathBuf {
        let name = id.to_string();
        // The first digits of an id are its time: only the last ones spread evenly.
        self.uploads.join(&name[name.len() - 2..]).join(name)
    }

    /// Every upload that has a file, in no order.
    ///
    /// # Errors
    /// If a directory can't be read.
    pub async fn list_uploads(&self) -> Result<Vec<Stored<UploadId>>, BlobError> {
        let uploads = self.uploads.clone();
        blocking(move || {
            let mut found = Vec::new();
            for shard in shards(&uploads) {
                list(&shard, &mut found)?;
            }
            Ok(found)
        })
        .await
    }

    /// Every job that has outputs, in no order.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub async fn list_jobs(&self) -> Result<Vec<Stored<JobId>>, BlobError> {
        let outputs = self.outputs.clone();
        blocking(move || {
            let mut found = Vec::new();
            list(&outputs, &mut found)?;
            Ok(found)
        })
        .await
    }

    /// A job's outputs. Nothing is made on the disk before the first one is written.
    #[must_use]
    pub fn output(&self, job: JobId) -> JobOutput {
        JobOutput::new(self.outputs.clone(), job)
    }

    /// How many bytes may still be written to this disk.
    ///
    /// # Errors
    /// If the file system doesn't say.
    pub async fn free_bytes(&self) -> Result<u64, BlobError> {
        let uploads = self.uploads.clone();
        blocking(move || {
            let stat = nix::sys::statvfs::statvfs(&uploads)
                .map_err(std::io::Error::from)
                .tried("ask for free space", &uploads)?;
            Ok(stat.blocks_available() * stat.fragment_size())
        })
        .await
    }
}

fn shards(uploads: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    (0..SHARDS).map(|shard| uploads.join(format!("{shard:02x}")))
}

/// Adds what is named by an id; what has another name is not the store's and is left alone.
fn list<I: FromStr>(dir: &Path, found: &mut Vec<Stored<I>>) -> Result<(), BlobError> {
    for (name, modified) in dir::entries(dir)? {
        match name.parse() {
            Ok(id) => found.push(Stored { id, modified }),
            Err(_) => tracing::warn!(dir = %dir.display(), name, "unknown entry in the store"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
