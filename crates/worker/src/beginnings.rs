//! The beginnings of uploads that this worker has looked at. What is durable of an upload stays as it is, so the next look, which needs
//! more of it, reads only what has come since.
//!
//! All of it are copies that can be made again: nothing depends on them, other workers have none, and they go when the worker starts.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reelway_domain::UploadId;

/// How much of the disk they may take together, in bytes: two of the longest that are looked at again.
const BYTES_MAX: u64 = 4 << 30;
/// How long one is kept that nobody looks at: its upload has stopped, and may have been aborted.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// How often it is looked for such ones.
pub(crate) const IDLE_LOOK_EVERY: Duration = Duration::from_secs(60);

/// What is kept.
#[derive(Debug)]
pub(crate) struct Beginnings {
    dir: PathBuf,
    bytes_max: u64,
    /// The latest last.
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    upload: UploadId,
    path: PathBuf,
    bytes: u64,
    used_at: Instant,
}

impl Beginnings {
    /// Those in a directory, which is made with the first of them.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            bytes_max: BYTES_MAX,
            kept: Mutex::default(),
        }
    }

    /// Keeps a file with so many of the first bytes of an upload, under a name that none had before, and no other file of that upload.
    /// Those that were kept first go when there is no room. Blocks.
    pub(crate) fn keep(&self, upload: UploadId, file: &Path, bytes: u64, name: &str) {
        let path = self.dir.join(name);
        if let Err(error) = fs::create_dir_all(&self.dir).and_then(|()| fs::rename(file, &path)) {
            tracing::debug!(%error, "the beginning of an upload is not kept");
            return;
        }
        let mut kept = self.lock();
        let mut gone: Vec<Kept> = without(&mut kept, upload).into_iter().collect();
        kept.push_back(Kept {
            upload,
            path,
            bytes,
            used_at: Instant::now(),
        });
        while kept.iter().map(|kept| kept.bytes).sum::<u64>() > self.bytes_max {
            gone.extend(kept.pop_front());
        }
        drop(kept);
        gone.iter().for_each(Kept::remove);
    }

    /// Moves what is kept of an upload to a path, to be made longer, and says how many of its first bytes that are; 0 if there is
    /// nothing, or somebody reads it. Blocks.
    pub(crate) fn take(&self, upload: UploadId, path: &Path) -> u64 {
        let Some(kept) = without(&mut self.lock(), upload) else {
            return 0;
        };
        match fs::rename(&kept.path, path).and_then(|()| fs::metadata(path)) {
            Ok(found) if found.nlink() == 1 => kept.bytes,
            Ok(_) => 0,
            Err(error) => {
                tracing::debug!(%error, "the beginning of an upload is gone");
                0
            }
        }
    }

    /// Has what is kept of an upload at a path too, to be read, if that is so many bytes at least. Says how many it is; 0 if there is
    /// nothing. Blocks.
    pub(crate) fn share(&self, upload: UploadId, path: &Path, bytes_min: u64) -> u64 {
        let is_it = |kept: &&mut Kept| kept.upload == upload && kept.bytes >= bytes_min;
        let place = |kept: &mut Kept| {
            kept.used_at = Instant::now();
            (kept.path.clone(), kept.bytes)
        };
        let found = self.lock().iter_mut().find(is_it).map(place);
        match found {
            Some((kept, bytes)) if fs::hard_link(&kept, path).is_ok() => bytes,
            _ => 0,
        }
    }

    /// Gives up what is kept of an upload. Blocks.
    pub(crate) fn forget(&self, upload: UploadId) {
        if let Some(kept) = without(&mut self.lock(), upload) {
            kept.remove();
        }
    }

    /// Gives up what nobody has looked at for so long. Blocks.
    pub(crate) fn forget_idle(&self, idle_max: Duration) {
        let mut kept = self.lock();
        let (idle, used): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut *kept)
            .into_iter()
            .partition(|kept| kept.used_at.elapsed() >= idle_max);
        *kept = used;
        drop(kept);
        idle.iter().for_each(Kept::remove);
    }

    /// Gives up all that is kept. Blocks.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.lock());
        gone.iter().for_each(Kept::remove);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.path.display(), "could not remove the beginning of an upload");
            }
            _ => {}
        }
    }
}

fn without(kept: &mut VecDeque<Kept>, upload: UploadId) -> Option<Kept> {
    let place = kept.iter().position(|kept| kept.upload == upload)?;
    kept.remove(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_first_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let beginnings = Beginnings {
            bytes_max: 10,
            ..Beginnings::new(dir.path().join("kept"))
        };
        let (file, uploads) = (dir.path().join("view"), [(); 3].map(|()| UploadId::new()));
        for (upload, name) in [(0, "a"), (1, "b"), (1, "c"), (2, "d")] {
            fs::write(&file, name).unwrap();
            beginnings.keep(uploads[upload], &file, 5, name);
        }
        let count = || fs::read_dir(&beginnings.dir).unwrap().count();
        assert_eq!((file.exists(), count()), (false, 2));
        assert_eq!(beginnings.take(uploads[0], &file), 0, "there was no room for it");
        assert_eq!(beginnings.take(uploads[1], &file), 5);
        assert_eq!(fs::read(&file).unwrap(), b"c", "the later one of the same upload");
        assert_eq!(beginnings.take(uploads[1], &file), 0, "it was taken");
        beginnings.forget(uploads[2]);
        assert_eq!(count(), 0);
        beginnings.keep(uploads[0], &file, 5, "e");
        beginnings.clear();
        assert_eq!(count(), 0);
    }

    #[test]
    fn what_nobody_looks_at_goes_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let beginnings = Beginnings::new(dir.path().join("kept"));
        let (file, read) = (dir.path().join("view"), dir.path().join("read"));
        let [stopped, read_still] = [(); 2].map(|()| UploadId::new());
        for (upload, name) in [(stopped, "a"), (read_still, "b")] {
            fs::write(&file, name).unwrap();
            beginnings.keep(upload, &file, 1, name);
        }
        beginnings.forget_idle(IDLE_MAX);
        assert_eq!(fs::read_dir(&beginnings.dir).unwrap().count(), 2);
        for kept in &mut *beginnings.lock() {
            kept.used_at = kept.used_at.checked_sub(IDLE_MAX).unwrap();
        }
        assert_eq!(beginnings.share(read_still, &read, 1), 1);
        beginnings.forget_idle(IDLE_MAX);
        assert_eq!(beginnings.take(stopped, &file), 0, "it is gone");
        assert_eq!(
            beginnings.share(read_still, &dir.path().join("again"), 1),
            1,
            "somebody reads it"
        );
    }

    #[test]
    fn what_somebody_has_removed_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let beginnings = Beginnings::new(dir.path().join("kept"));
        let (file, upload) = (dir.path().join("view"), UploadId::new());
        fs::write(&file, "a").unwrap();
        beginnings.keep(upload, &file, 1, "a");
        fs::remove_dir_all(&beginnings.dir).unwrap();
        assert_eq!(beginnings.take(upload, &file), 0);
    }

    #[test]
    fn what_somebody_reads_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let beginnings = Beginnings::new(dir.path().join("kept"));
        let [file, read] = ["view", "read"].map(|name| dir.path().join(name));
        let upload = UploadId::new();
        fs::write(&file, "abc").unwrap();
        beginnings.keep(upload, &file, 3, "a");
        assert_eq!(beginnings.share(upload, &read, 4), 0, "that is not so much");
        assert_eq!(beginnings.share(upload, &read, 2), 3);
        assert_eq!(fs::read(&read).unwrap(), b"abc");
        assert_eq!(beginnings.take(upload, &file), 0, "nobody makes it longer meanwhile");
        fs::remove_file(&read).unwrap();
        beginnings.keep(upload, &file, 3, "b");
        assert_eq!(beginnings.take(upload, &file), 3);
    }
}
