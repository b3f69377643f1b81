//! Who may have the store: one process for itself, or any number together.

use std::{
    fs::{File, TryLockError},
    io::{self, Read as _, Write as _},
    path::Path,
};

use reelway_domain::WriterId;

use crate::{BlobError, error::Tried as _};

/// The file that is locked. What is in it is for people.
const NAME: &str = "store.lock";
/// The most that is read of what another process wrote there.
const HOLDER_BYTES_MAX: u64 = 256;

/// Who else may have the store at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody. A restarted process goes on in the files of the one before it, because that one is dead for sure.
    Exclusive,
    /// Any number of processes, also on other machines. Each writes files of its own.
    Shared,
}

impl Sharing {
    /// The name under which a process writes that opens the store like this.
    pub(crate) fn writer(self) -> WriterId {
        match self {
            Self::Exclusive => WriterId::ONLY,
            Self::Shared => WriterId::new(),
        }
    }
}

/// Held while the store is open; the operating system lets it go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of the store below `root`.
    ///
    /// # Errors
    /// [`BlobError::InUse`] if another process has it in a way that doesn't go together with this one.
    pub(crate) fn take(root: &Path, sharing: Sharing) -> Result<Self, BlobError> {
        let path = root.join(NAME);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .tried("open", &path)?;
        let taken = match sharing {
            Sharing::Exclusive => file.try_lock(),
            Sharing::Shared => file.try_lock_shared(),
        };
        match taken {
            Ok(()) => {
                if let Err(error) = sign(&mut file) {
                    tracing::debug!(%error, "the store's lock is held without a name");
                }
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(BlobError::InUse {
                path: root.to_owned(),
                by: holder(file),
            }),
            // Locks only guard against a wrong configuration here: servers that share a store don't rely on them.
            Err(TryLockError::Error(error)) if sharing == Sharing::Shared => {
                tracing::warn!(%error, store = %root.display(), "the store can't be locked; nobody else may have it for itself");
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(error).tried("lock", &path),
        }
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    let host = nix::unistd::gethostname().map_or_else(|_| "?".into(), |name| name.to_string_lossy().into_owned());
    file.set_len(0)?;
    file.write_all(format!("process {} on {host}", std::process::id()).as_bytes())
}

fn holder(file: File) -> String {
    let mut text = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_for_itself_or_many_together() {
        let dir = tempfile::tempdir().unwrap();
        let take = |sharing| StoreLock::take(dir.path(), sharing);
        let alone = take(Sharing::Exclusive).unwrap();
        for sharing in [Sharing::Exclusive, Sharing::Shared] {
            let refused = take(sharing).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("process {}", std::process::id())),
                "{refused}"
            );
        }
        drop(alone);
        let together = [take(Sharing::Shared).unwrap(), take(Sharing::Shared).unwrap()];
        assert!(matches!(take(Sharing::Exclusive), Err(BlobError::InUse { .. })));
        drop(together);
        take(Sharing::Exclusive).unwrap();
    }
}
