//! The store on a disk: `uploads/xx/upl_…` and `outputs/job_…/…` below one directory.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::SystemTime,
};

use reelway_domain::{JobId, StoreId, WriterId};
use tokio::sync::Semaphore;

use crate::{
    BlobError, DiskOutput, Sharing, dir, error::Tried as _, fence::Fences, identity, sharing::StoreLock, task::blocking,
};

/// Uploads are spread over so many directories, by the last two digits of their ids.
const SHARDS: u16 = 256;
/// The file that a check makes and removes. One name, so that a check that was cut off leaves nothing more than the next
/// one removes.
const CHECK_NAME: &str = ".check";

/// All bytes of a node, on its disk, or those of a deployment on a file system that its servers share. Clones are the same
/// store.
///
/// An upload has one file as long as one process writes it. A writer in another process begins a file of its own, at the
/// same offsets, and before the upload is complete the last one fills in what is in the earlier ones. So whatever a process
/// that was paused or cut off still writes, it writes into a file that nobody reads there any more.
#[derive(Debug, Clone)]
pub struct DiskStore {
    root: PathBuf,
    pub(crate) uploads: PathBuf,
    outputs: PathBuf,
    identity: StoreId,
    writer: WriterId,
    pub(crate) fences: Arc<Fences>,
    checking: Arc<Semaphore>,
    _lock: Arc<StoreLock>,
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
    /// [`BlobError::InUse`] if another process has the store for itself, or has it at all and this one wants it for itself;
    /// others if the directories can't be made.
    pub fn open(root: impl Into<PathBuf>, sharing: Sharing) -> Result<Self, BlobError> {
        let root = root.into();
        fs::create_dir_all(&root).tried("create directory", &root)?;
        // The path must stay the same if the process changes its directory.
        let root = root.canonicalize().tried("find", &root)?;
        if let Some(parent) = root.parent() {
            dir::sync_dir(parent)?;
        }
        let lock = StoreLock::take(&root, sharing)?;
        let (uploads, outputs) = (root.join("uploads"), root.join("outputs"));
        dir::create(&outputs)?;
        dir::create(&uploads)?;
        for shard in shards(&uploads) {
            dir::create(&shard)?;
        }
        dir::sync_dir(&uploads)?;
        dir::sync_dir(&root)?;
        Ok(Self {
            identity: identity::of(&root)?,
            writer: sharing.writer(),
            root,
            uploads,
            outputs,
            fences: Arc::default(),
            checking: Arc::new(Semaphore::new(1)),
            _lock: Arc::new(lock),
        })
    }

    /// Which store this is: the same for all processes that share it, and for no other store.
    #[must_use]
    pub fn identity(&self) -> StoreId {
        self.identity
    }

    /// As whom this process writes. Who has the store for itself is always the same; who shares it is somebody new with
    /// each start.
    #[must_use]
    pub fn writer_id(&self) -> WriterId {
        self.writer
    }

    /// Whether a small file can be made, synced and removed. A store that hangs makes it wait, but never more than one
    /// thread.
    ///
    /// # Errors
    /// Why it can't.
    pub async fn check(&self) -> Result<(), BlobError> {
        let path = self.root.join(CHECK_NAME);
        let turn = Arc::clone(&self.checking).acquire_owned().await;
        blocking(move || {
            let _turn = turn;
            let made = File::create(&path)
                .and_then(|mut file| file.write_all(b"is there room?").and_then(|()| file.sync_all()))
                .tried("write", &path);
            made.and(dir::remove(&path))
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
    pub fn output(&self, job: JobId) -> DiskOutput {
        DiskOutput::new(self.outputs.clone(), job)
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

/// The directories that hold uploads.
pub(crate) fn shards(uploads: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    (0..SHARDS).map(|shard| uploads.join(format!("{shard:02x}")))
}

/// Adds what is named as its kind is; what has another name is not the store's and is left alone.
pub(crate) fn list<I: FromStr>(dir: &Path, found: &mut Vec<Stored<I>>) -> Result<(), BlobError> {
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
