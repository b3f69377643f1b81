//! Tails: the last bytes of an upload, sent ahead of the rest so that its index can be read early.
//!
//! A tail is a file beside the upload's files. Where it begins is part of its name, so two senders that disagree never write one
//! file. It counts for nothing but early processing, and goes when the upload ends.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use reelway_domain::{FileEpoch, Offset, UploadId};
use tempfile::NamedTempFile;

use crate::{
    BlobError, DiskStore, Stored, TailFile, dir, error::Tried as _, staged::write_all, store::shards, task::blocking,
    uploads::StoredFile,
};

/// How much of each of two files is in memory while they are compared.
const BUFFER_BYTES: usize = 256 << 10;

/// A tail that is being received. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub struct TailDraft {
    file: NamedTempFile,
    kept: PathBuf,
    written_bytes: u64,
}

impl DiskStore {
    /// Begins to receive the tail of an upload that begins at `tail`.
    ///
    /// # Errors
    /// If no file can be made.
    pub async fn begin_tail(&self, id: UploadId, tail: Offset) -> Result<TailDraft, BlobError> {
        let (kept, shard) = (self.tail_path(id, tail), self.shard(id));
        blocking(move || {
            let file = dir::draft(&shard, &TailFile::draft_prefix(id, tail))?;
            Ok(TailDraft {
                file,
                kept,
                written_bytes: 0,
            })
        })
        .await
    }

    /// Where the tail is on this disk that begins at `tail`. Its first byte is the upload's byte `tail`.
    #[must_use]
    pub fn tail_path(&self, id: UploadId, tail: Offset) -> PathBuf {
        self.shard(id).join(TailFile::kept(id, tail).to_string())
    }

    /// Whether the tail that begins at `tail` holds what one of the upload's files holds there, to the end of both.
    ///
    /// # Errors
    /// If one of them is not there or can't be read.
    pub async fn tail_is_like(&self, id: UploadId, file: FileEpoch, tail: Offset) -> Result<bool, BlobError> {
        let (kept, whole) = (self.tail_path(id, tail), self.upload_path(id, file));
        blocking(move || {
            let kept = Part::open(&kept, 0)?;
            let whole = Part::open(&whole, tail.as_u64())?;
            kept.is_like(&whole)
        })
        .await
    }

    /// Removes a tail. It is fine if there is none.
    ///
    /// # Errors
    /// If it can't be removed.
    pub async fn remove_tail(&self, id: UploadId, tail: Offset) -> Result<(), BlobError> {
        self.remove_tail_file(&TailFile::kept(id, tail)).await
    }

    /// Removes a tail, or what is left of one that was never wholly received. It is fine if there is none.
    ///
    /// # Errors
    /// If it can't be removed.
    pub async fn remove_tail_file(&self, tail: &TailFile) -> Result<(), BlobError> {
        let path = self.shard(tail.upload).join(tail.to_string());
        blocking(move || dir::remove(&path)).await
    }

    /// Every tail and every draft of one, in no order.
    ///
    /// # Errors
    /// If a directory can't be read.
    pub async fn list_tails(&self) -> Result<Vec<Stored<TailFile>>, BlobError> {
        let uploads = self.uploads.clone();
        blocking(move || {
            let mut found = Vec::new();
            for shard in shards(&uploads) {
                crate::store::list(&shard, &mut found)?;
            }
            let tails = found.into_iter().filter_map(|Stored { id, modified }| match id {
                StoredFile::Tail(id) => Some(Stored { id, modified }),
                StoredFile::Upload(_) => None,
            });
            Ok(tails.collect())
        })
        .await
    }
}

impl TailDraft {
    /// Adds bytes at the end. They are durable only once the draft is kept.
    ///
    /// # Errors
    /// [`BlobError::StorageFull`] if there is no room; the draft is gone then.
    pub async fn append(mut self, bytes: Bytes) -> Result<Self, BlobError> {
        blocking(move || {
            write_all(self.file.as_file(), self.file.path(), self.written_bytes, &bytes)?;
            self.written_bytes += bytes.len() as u64;
            Ok(self)
        })
        .await
    }

    /// Whether the tail that was kept before has the same bytes. `false` if there is none.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub async fn is_like_kept(self) -> Result<bool, BlobError> {
        blocking(move || {
            let kept = match Part::open(&self.kept, 0) {
                Err(BlobError::NotFound { .. }) => return Ok(false),
                kept => kept?,
            };
            Part::open(self.file.path(), 0)?.is_like(&kept)
        })
        .await
    }

    /// Makes it the upload's tail, durably. It takes the place of one that begins at the same offset.
    ///
    /// # Errors
    /// If it can't be synced or renamed.
    pub async fn keep(self) -> Result<(), BlobError> {
        blocking(move || {
            let (file, kept) = (self.file, self.kept);
            file.as_file().sync_all().tried("sync", file.path())?;
            file.persist(&kept)
                .map_err(|error| error.error)
                .tried("rename to", &kept)?;
            kept.parent().map_or(Ok(()), dir::sync_dir)
        })
        .await
    }
}

/// A file from some offset on.
struct Part<'a> {
    file: File,
    path: &'a Path,
    from: u64,
}

impl<'a> Part<'a> {
    fn open(path: &'a Path, from: u64) -> Result<Self, BlobError> {
        let file = File::open(path).tried("open", path)?;
        Ok(Self { file, path, from })
    }

    fn is_like(&self, other: &Part<'_>) -> Result<bool, BlobError> {
        let (mut ours, mut theirs) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
        let mut at = 0;
        loop {
            let (our_bytes, their_bytes) = (self.read(at, &mut ours)?, other.read(at, &mut theirs)?);
            if ours[..our_bytes] != theirs[..their_bytes] {
                return Ok(false);
            }
            if our_bytes == 0 {
                return Ok(true);
            }
            at += our_bytes as u64;
        }
    }

    /// As much as there is room for, or less at the end.
    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<usize, BlobError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], self.from + at + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).tried("read", self.path),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sharing;

    const FIRST: FileEpoch = FileEpoch::FIRST;

    fn store() -> (tempfile::TempDir, DiskStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path().join("blobs"), Sharing::Exclusive).unwrap();
        (dir, store)
    }

    async fn draft(store: &DiskStore, id: UploadId, tail: Offset, bytes: &[u8]) -> TailDraft {
        let mut draft = store.begin_tail(id, tail).await.unwrap();
        for piece in bytes.chunks(3) {
            draft = draft.append(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        draft
    }

    #[tokio::test]
    async fn a_tail_is_there_only_when_it_is_whole_and_goes_with_its_upload() {
        let (_dir, store) = store();
        let (id, tail) = (UploadId::new(), Offset(5));
        store.create_upload(id).await.unwrap();
        let receiving = draft(&store, id, tail, b"56789").await;
        assert!(!store.tail_path(id, tail).exists());
        let listed = store.list_tails().await.unwrap();
        assert!(listed.len() == 1 && listed[0].id.is_draft(), "{listed:?}");
        drop(receiving);
        assert_eq!(store.list_tails().await.unwrap(), []);
        draft(&store, id, tail, b"56789").await.keep().await.unwrap();
        draft(&store, id, Offset(7), b"789").await.keep().await.unwrap();
        assert_eq!(std::fs::read(store.tail_path(id, tail)).unwrap(), b"56789");
        assert_eq!(store.list_tails().await.unwrap().len(), 2);
        assert_eq!(
            store.list_uploads().await.unwrap().len(),
            1,
            "a tail is no file of the upload"
        );
        store.remove_tail(id, Offset(7)).await.unwrap();
        store.remove_upload(id).await.unwrap();
        assert_eq!(store.list_tails().await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_draft_of_a_dead_process_is_found_and_removed() {
        let (_dir, store) = store();
        let (id, tail) = (UploadId::new(), Offset(5));
        let left = draft(&store, id, tail, b"56789").await;
        let (_file, path) = left.file.keep().unwrap();
        let listed = store.list_tails().await.unwrap();
        assert!(listed[0].id.is_draft());
        store.remove_tail_file(&listed[0].id).await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_tail_is_compared_to_its_last_byte() {
        let (_dir, store) = store();
        let (id, tail) = (UploadId::new(), Offset(4));
        let long: Vec<u8> = (0..BUFFER_BYTES + 10).map(|i| i.to_le_bytes()[0]).collect();
        std::fs::write(store.upload_path(id, FIRST), [b"head", &*long].concat()).unwrap();
        let missing = store.tail_is_like(id, FIRST, tail).await.unwrap_err();
        assert!(matches!(missing, BlobError::NotFound { .. }), "{missing}");
        let mut other = long.clone();
        *other.last_mut().unwrap() ^= 1;
        for (bytes, is_like) in [
            (&long, true),
            (&other, false),
            (&long[1..].to_vec(), false),
            (&vec![], false),
        ] {
            std::fs::write(store.tail_path(id, tail), bytes).unwrap();
            assert_eq!(store.tail_is_like(id, FIRST, tail).await.unwrap(), is_like);
        }
        draft(&store, id, tail, &long[..10]).await.keep().await.unwrap();
        assert!(draft(&store, id, tail, &long[..10]).await.is_like_kept().await.unwrap());
        assert!(!draft(&store, id, tail, &long[..9]).await.is_like_kept().await.unwrap());
        assert!(!draft(&store, id, Offset(9), b"x").await.is_like_kept().await.unwrap());
    }
}
