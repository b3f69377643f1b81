//! Copying a complete upload from one store into another.

use reelway_domain::{FileEpoch, Offset, Staged, StagedChange, WriterEpoch};
use sha2::{Digest as _, Sha256};

use crate::{Begin, BlobError, Extent, SourcePlace, Staging, Store, task::blocking};

/// How much is read at once, and is in memory beside what a bucket's writer keeps of it.
const READ_BYTES: i64 = 8 << 20;
/// After so many bytes they are made durable.
const SYNC_BYTES: i64 = 64 << 20;

impl Store {
    /// Copies a complete upload of `size` bytes from another store into this one, and gives where it is then and the SHA-256 of what
    /// was read. `number` is one that nobody else copies this upload under. It is whole and durable then; whether it is right is
    /// found out by [`Self::sha256`]. To stop it, drop the future: what it leaves goes with the next [`Self::remove_upload`].
    ///
    /// # Errors
    /// Those of both stores.
    pub async fn copy_from(
        &self,
        store: &Self,
        place: &SourcePlace,
        size: Offset,
        number: FileEpoch,
    ) -> Result<(SourcePlace, [u8; 32]), BlobError> {
        let (upload, file) = (place.upload, number);
        let begin = Begin {
            upload,
            epoch: WriterEpoch(number.0),
            file,
            size: Some(size),
            staged: Some(Staged {
                multipart: None,
                parts: Vec::new(),
                rests: Vec::new(),
                next_number: 1,
            }),
            is_watched: false,
        };
        let staging = self.open_writer(begin).await?;
        let digest = pour(store, place, size, &staging).await?;
        let finished = staging.finish(size).await?;
        staging.recorded(&finished.change).await;
        let key = staging.assemble(size).await?;
        Ok((SourcePlace { upload, file, key }, digest))
    }
}

/// Writes all of an upload; gives its SHA-256. Nobody goes on with a copy that broke off, so what is durable is recorded nowhere.
async fn pour(store: &Store, place: &SourcePlace, size: Offset, into: &Staging) -> Result<[u8; 32], BlobError> {
    let reader = store.read_upload(place).await?;
    let (mut at, mut synced, mut hasher) = (Offset::ZERO, Offset::ZERO, Sha256::new());
    while at < size {
        let length = usize::try_from((size.0 - at.0).min(READ_BYTES)).unwrap_or_default();
        let bytes = reader.read_at(at, length).await?;
        let hashed = bytes.clone();
        let hash = blocking(move || {
            hasher.update(&hashed);
            Ok(hasher)
        });
        let (hash, written) = tokio::join!(hash, into.write_at(at, bytes));
        written?;
        hasher = hash?;
        at = at.advanced(length);
        if at.0 - synced.0 >= SYNC_BYTES {
            let done = into.sync(Extent::Parts, at).await?;
            if done.change != StagedChange::default() {
                into.recorded(&done.change).await;
            }
            synced = at;
        }
    }
    Ok(hasher.finalize().into())
}
