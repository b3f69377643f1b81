//! Directories whose entries survive a power cut.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::SystemTime,
};

use tempfile::NamedTempFile;

use crate::{BlobError, error::Tried as _};

/// Unfinished files begin like this. No [`crate::OutputKey`] does, so nobody can ask for one.
const UNFINISHED_PREFIX: &str = ".unfinished-";

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), BlobError> {
    fs::File::open(dir)
        .and_then(|d| d.sync_all())
        .tried("sync directory", dir)
}

/// Makes a directory unless it is there. Its entry is durable only once its parent is synced.
pub(crate) fn create(dir: &Path) -> Result<(), BlobError> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).tried("create directory", dir),
        _ => Ok(()),
    }
}

/// Makes a directory and everything above it up to `root`, which must be there, durably.
///
/// Directories that are there are synced too: whoever made them may have been killed before doing so.
pub(crate) fn create_below(root: &Path, dir: &Path) -> Result<(), BlobError> {
    let Some(parent) = dir.parent().filter(|_| dir != root) else {
        return Ok(());
    };
    create_below(root, parent)?;
    create(dir)?;
    sync_dir(parent)
}

/// Removes a file or a whole directory; it is fine if there is none.
///
/// The removal is not synced: what comes back after a power cut is found and removed again.
pub(crate) fn remove(path: &Path) -> Result<(), BlobError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).tried("remove", path),
        _ => Ok(()),
    }
}

/// A file that goes away unless it is finished, with the permissions that other files get.
pub(crate) fn unfinished(dir: &Path) -> Result<NamedTempFile, BlobError> {
    draft(dir, UNFINISHED_PREFIX)
}

/// The same with a name of its own, by which it is known if its process dies.
pub(crate) fn draft(dir: &Path, prefix: &str) -> Result<NamedTempFile, BlobError> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .tried("create a file in", dir)
}

/// The names in a directory.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, BlobError> {
    let entries = fs::read_dir(dir).tried("list", dir)?;
    let name =
        |entry: io::Result<fs::DirEntry>| Ok(entry.tried("list", dir)?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect()
}

/// The entries of a directory with the time of their last change. An entry that vanishes meanwhile is left out.
pub(crate) fn entries(dir: &Path) -> Result<Vec<(String, SystemTime)>, BlobError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).tried("list", dir)? {
        let entry = entry.tried("list", dir)?;
        let modified = match entry.metadata().and_then(|m| m.modified()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            modified => modified.tried("look at", &entry.path())?,
        };
        found.push((entry.file_name().to_string_lossy().into_owned(), modified));
    }
    Ok(found)
}
