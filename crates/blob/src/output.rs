//! What was made of an upload.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use nix::fcntl::OFlag;
use reelway_domain::JobId;
use tempfile::TempPath;

use crate::{BlobError, OutputKey, dir, error::Tried as _, task::blocking};

/// The outputs of one job.
#[derive(Debug, Clone)]
pub struct DiskOutput {
    outputs: PathBuf,
    dir: PathBuf,
}

impl DiskOutput {
    pub(crate) fn new(outputs: PathBuf, job: JobId) -> Self {
        let dir = outputs.join(job.to_string());
        Self { outputs, dir }
    }

    /// Moves a finished local file in, durably: renamed on the same file system, copied from another one.
    ///
    /// # Errors
    /// [`BlobError::AlreadyExists`] if the key is taken: nothing is ever overwritten by this, and `from` stays.
    /// [`BlobError::Io`] if `from` is a link or anything else that is not a regular file.
    pub async fn adopt(&self, key: &OutputKey, from: &Path) -> Result<(), BlobError> {
        let (to, outputs, from) = (self.path(key), self.outputs.clone(), from.to_owned());
        blocking(move || {
            let parent = prepare_parent(&outputs, &to)?;
            let source = open_regular(&from)?;
            source.sync_all().tried("sync", &from)?;
            match TempPath::try_from_path(&from)
                .tried("find", &from)?
                .persist_noclobber(&to)
            {
                Ok(()) => {}
                Err(refused) => {
                    // A temporary path removes its file when it goes: this one is the caller's.
                    let kept = refused.path.keep();
                    if refused.error.kind() != io::ErrorKind::CrossesDevices {
                        return Err(refused.error).tried("move to", &to);
                    }
                    kept.map_err(|e| e.error).tried("keep", &from)?;
                    copy(source, parent, &to)?;
                    dir::remove(&from)?;
                }
            }
            dir::sync_dir(parent)
        })
        .await
    }

    /// Writes a small file durably. What was there before is replaced as a whole: a reader sees the one or the other.
    ///
    /// # Errors
    /// [`BlobError::StorageFull`] and others; then what was there before still is.
    pub async fn write(&self, key: &OutputKey, bytes: Bytes) -> Result<(), BlobError> {
        let (to, outputs) = (self.path(key), self.outputs.clone());
        blocking(move || {
            let parent = prepare_parent(&outputs, &to)?;
            let mut file = dir::unfinished(parent)?;
            file.write_all(&bytes)
                .and_then(|()| file.as_file().sync_all())
                .tried("write", &to)?;
            file.persist(&to).map_err(|e| e.error).tried("replace", &to)?;
            dir::sync_dir(parent)
        })
        .await
    }

    /// Reads a small file whole.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] and others.
    pub async fn read(&self, key: &OutputKey) -> Result<Bytes, BlobError> {
        let path = self.path(key);
        blocking(move || std::fs::read(&path).map(Bytes::from).tried("read", &path)).await
    }

    /// Opens a file for reading and tells its length in bytes.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such file, also if the key names a directory.
    pub async fn open(&self, key: &OutputKey) -> Result<(File, u64), BlobError> {
        let path = self.path(key);
        blocking(move || {
            let file = File::open(&path).tried("open", &path)?;
            let found = file.metadata().tried("look at", &path)?;
            if found.is_file() {
                Ok((file, found.len()))
            } else {
                Err(BlobError::NotFound { path })
            }
        })
        .await
    }

    /// Where an output is on this disk.
    #[must_use]
    pub fn path(&self, key: &OutputKey) -> PathBuf {
        self.dir.join(key.as_str())
    }

    /// The outputs and directories of outputs at the top. None if nothing was made.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub async fn prefixes(&self) -> Result<Vec<OutputKey>, BlobError> {
        let dir = self.dir.clone();
        blocking(move || match dir::names(&dir) {
            // What is unfinished has a name that is no key.
            Ok(names) => Ok(names.iter().filter_map(|name| name.parse().ok()).collect()),
            Err(BlobError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        })
        .await
    }

    /// Removes an output or a directory of outputs. It is fine if there is none.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub async fn remove_prefix(&self, key: &OutputKey) -> Result<(), BlobError> {
        let path = self.path(key);
        blocking(move || dir::remove(&path)).await
    }

    /// Removes everything of the job. It is fine if there is nothing.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub async fn remove(&self) -> Result<(), BlobError> {
        let dir = self.dir.clone();
        blocking(move || dir::remove(&dir)).await
    }
}

/// The directory for `to`, made durable.
fn prepare_parent<'a>(outputs: &Path, to: &'a Path) -> Result<&'a Path, BlobError> {
    let parent = to.parent().unwrap_or(to);
    dir::create_below(outputs, parent)?;
    Ok(parent)
}

/// Opens what is to become an output: a file, and nothing that leads elsewhere or never ends.
///
/// The file comes from a sandbox that a hostile source may have taken over, and will be served to anybody.
pub(crate) fn open_regular(path: &Path) -> Result<File, BlobError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .tried("open", path)?;
    if file.metadata().tried("look at", path)?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")).tried("adopt", path)
}

fn copy(mut source: File, parent: &Path, to: &Path) -> Result<(), BlobError> {
    let mut file = dir::unfinished(parent)?;
    io::copy(&mut source, file.as_file_mut())
        .and_then(|_| file.as_file().sync_all())
        .tried("copy to", to)?;
    file.persist_noclobber(to).map_err(|e| e.error).tried("move to", to)?;
    Ok(())
}

#[cfg(test)]
mod tests;
