//! Scratch directories: one per attempt, never used again, because a dying ffmpeg may still write into its own.

use std::path::{Path, PathBuf};

use reelway_catalog::Task;
use reelway_domain::{Failure, Reason};
use tokio::fs;

/// Empties the scratch space: whatever is there belongs to a process that is gone.
pub(crate) async fn empty(root: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(root).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(root).await
}

/// Why something can't be kept there.
pub(crate) fn failure(error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Failure::new(Reason::StorageFull, "the worker's scratch directory is full")
        }
        _ => Failure::new(
            Reason::StoreUnavailable,
            format!("the worker's scratch directory can't be used: {error}"),
        ),
    }
}

/// A new directory in another one, for what would have the names of what is there.
///
/// # Errors
/// As [`failure`] says.
pub(crate) async fn below(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = dir.join(name);
    match fs::create_dir(&path).await {
        Ok(()) => Ok(path),
        Err(error) => Err(failure(&error)),
    }
}

/// A name in the scratch space that no other attempt has.
pub(crate) fn name(task: &Task) -> String {
    format!("{}-e{}", task.id, task.lease_epoch)
}

/// The directory of one attempt; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) async fn make(root: &Path, task: &Task) -> std::io::Result<Self> {
        let path = std::path::absolute(root.join(name(task)))?;
        fs::create_dir_all(&path).await?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A few files at most; what can't be removed now goes when the worker starts the next time.
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "could not remove a scratch directory");
        }
    }
}
