//! Which store this is.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use reelway_domain::StoreId;

use crate::{BlobError, dir, error::Tried as _};

/// The file that holds the store's id.
const NAME: &str = "store.id";

/// The id of the store below `root`. The first process that asks makes it; all get the same, also if several are first.
pub(crate) fn of(root: &Path) -> Result<StoreId, BlobError> {
    let path = root.join(NAME);
    match read(&path) {
        Err(BlobError::NotFound { .. }) => {}
        found => return found,
    }
    let mut new = dir::unfinished(root)?;
    new.write_all(format!("{}\n", StoreId::new()).as_bytes())
        .and_then(|()| new.as_file().sync_all())
        .tried("write", &path)?;
    match new.persist_noclobber(&path) {
        Err(refused) if refused.error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(refused.error).tried("create", &path);
        }
        _ => dir::sync_dir(root)?,
    }
    read(&path)
}

fn read(path: &Path) -> Result<StoreId, BlobError> {
    let text = fs::read_to_string(path).tried("read", path)?;
    let parsed = text.trim().parse();
    parsed
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        .tried("read the store's id in", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_come_first_at_once_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<StoreId> = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..16).map(|_| scope.spawn(|| of(dir.path()).unwrap())).collect();
            racing.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing unfinished is left"
        );
        fs::write(dir.path().join(NAME), "").unwrap();
        assert!(of(dir.path()).is_err(), "a broken id is not replaced by another");
    }
}
