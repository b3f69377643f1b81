//! The lock file beside a SQLite catalog: a second process would break the one-writer rule without noticing.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use crate::Error;

/// Held for as long as the catalog is open; the operating system lets it go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock of a database file.
    pub(crate) fn take(database: &Path) -> Result<Self, Error> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let prepare = |source| Error::Prepare {
            path: path.clone(),
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(prepare)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(database.to_owned())),
            Err(TryLockError::Error(source)) => Err(Error::Prepare { path, source }),
        }
    }
}
