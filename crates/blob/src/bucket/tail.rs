//! Tails in a bucket: an object beside the upload's, which is there once all of it is.

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream::BoxStream};
use object_store::{ObjectStoreExt as _, multipart::PartId, path::Path};
use reelway_domain::{Offset, UploadId};
use sha2::{Digest as _, Sha256};

use super::{BucketStore, ObjectReader, budget::Room, buffer::payload, schedule::PART_BYTES_MIN};
use crate::{BlobError, error::Asked as _};

/// How much of all tails may be in memory together, in bytes.
pub(super) const TAIL_MEMORY_BYTES: u64 = 4 * PART_BYTES_MIN;

/// A tail that is being received. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub struct ObjectTail {
    store: BucketStore,
    key: Path,
    digest: Sha256,
    sent_bytes: u64,
    /// Fewer bytes than a part.
    pieces: Vec<Bytes>,
    pieces_bytes: u64,
    /// Begun when there is more than one part.
    multipart: Option<Begun>,
    /// For one part in memory.
    _room: Room,
}

/// A multipart upload that gives its parts back when it is dropped.
#[derive(Debug)]
struct Begun {
    store: BucketStore,
    key: Path,
    id: String,
    parts: Vec<PartId>,
    is_complete: bool,
}

impl BucketStore {
    /// Begins to receive the tail of an upload, from `tail` to its end.
    pub async fn begin_tail(&self, id: UploadId, tail: Offset, end: Offset) -> ObjectTail {
        let bytes = (end.as_u64() - tail.as_u64()).min(PART_BYTES_MIN);
        ObjectTail {
            store: self.clone(),
            key: self.inner.names.tail(id, tail),
            digest: Sha256::new(),
            sent_bytes: 0,
            pieces: Vec::new(),
            pieces_bytes: 0,
            multipart: None,
            _room: self.inner.tails.take(bytes).await,
        }
    }

    /// Whether the tail that begins at `tail` holds what the object with this key holds there, to the end of both.
    ///
    /// # Errors
    /// If one of them is not there or can't be read.
    pub async fn tail_is_like(&self, id: UploadId, key: &str, tail: Offset, size: Offset) -> Result<bool, BlobError> {
        let (kept, whole) = (self.tail(id, tail), self.reader(key));
        let bytes = size.as_u64() - tail.as_u64();
        if kept.size_bytes().await? != bytes {
            return Ok(false);
        }
        let (kept, whole) = tokio::try_join!(async { digest(kept.stream(0, bytes).await?).await }, async {
            digest(whole.stream(tail.as_u64(), size.as_u64()).await?).await
        })?;
        Ok(kept == whole)
    }

    /// What reads the tail that begins at `tail`.
    #[must_use]
    pub fn tail(&self, id: UploadId, tail: Offset) -> ObjectReader {
        self.reader(self.inner.names.tail(id, tail).as_ref())
    }

    /// Removes a tail. It is fine if there is none.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn remove_tail(&self, id: UploadId, tail: Offset) -> Result<(), BlobError> {
        self.remove_one(&self.inner.names.tail(id, tail)).await
    }
}

impl ObjectTail {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// Those of the bucket; the tail is gone then.
    pub async fn append(mut self, mut bytes: Bytes) -> Result<Self, BlobError> {
        self.digest.update(&bytes);
        while !bytes.is_empty() {
            // Only when more comes: a tail of one part is stored as it is.
            if self.pieces_bytes == PART_BYTES_MIN {
                self.send().await?;
            }
            let missing = usize::try_from(PART_BYTES_MIN - self.pieces_bytes).unwrap_or(usize::MAX);
            let piece = bytes.split_to(missing.min(bytes.len()));
            self.pieces_bytes += piece.len() as u64;
            self.pieces.push(piece);
        }
        Ok(self)
    }

    /// Whether the tail that was kept before has the same bytes. `false` if there is none.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn is_like_kept(self) -> Result<bool, BlobError> {
        let kept = self.store.reader(self.key.as_ref());
        let bytes = match kept.size_bytes().await {
            Err(BlobError::NotFound { .. }) => return Ok(false),
            found => found?,
        };
        let ours = self.sent_bytes + self.pieces_bytes;
        if bytes != ours {
            return Ok(false);
        }
        Ok(digest(kept.stream(0, bytes).await?).await? == <[u8; 32]>::from(self.digest.clone().finalize()))
    }

    /// Makes it the upload's tail, durably. It takes the place of one that begins at the same offset.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn keep(mut self) -> Result<(), BlobError> {
        if self.multipart.is_none() {
            let body = payload(std::mem::take(&mut self.pieces));
            let put = self.store.inner.objects.put(&self.key, body).await;
            return put.asked("store", &self.key).map(drop);
        }
        self.send().await?;
        let Some(mut begun) = self.multipart.take() else {
            return Ok(());
        };
        let (multiparts, parts) = (&self.store.inner.multiparts, std::mem::take(&mut begun.parts));
        if let Err(error) = multiparts.complete_multipart(&self.key, &begun.id, parts).await {
            // The answer to a completion that succeeded may have been lost.
            let found = self.store.reader(self.key.as_ref()).size_bytes().await;
            if !found.is_ok_and(|bytes| bytes == self.sent_bytes) {
                return Err(error).asked("complete the multipart upload of", &self.key);
            }
        }
        begun.is_complete = true;
        Ok(())
    }

    /// Sends what is in memory as a part.
    async fn send(&mut self) -> Result<(), BlobError> {
        let multiparts = self.store.inner.multiparts.clone();
        let begun = match self.multipart.take() {
            Some(begun) => begun,
            None => Begun {
                id: multiparts
                    .create_multipart(&self.key)
                    .await
                    .asked("begin a multipart upload of", &self.key)?,
                store: self.store.clone(),
                key: self.key.clone(),
                parts: Vec::new(),
                is_complete: false,
            },
        };
        let begun = self.multipart.insert(begun);
        let (index, bytes) = (begun.parts.len(), std::mem::take(&mut self.pieces_bytes));
        let body = payload(std::mem::take(&mut self.pieces));
        let part = multiparts.put_part(&self.key, &begun.id, index, body).await;
        begun.parts.push(part.asked("store a part of", &self.key)?);
        self.sent_bytes += bytes;
        Ok(())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        let (store, key, id) = (self.store.clone(), self.key.clone(), std::mem::take(&mut self.id));
        // If this fails, or there is nobody to do it any more: it is ended with its upload.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.inner.multiparts.abort_multipart(&key, &id).await {
                    tracing::debug!(%error, %key, "a tail that was not kept is left to the end of its upload");
                }
            });
        }
    }
}

async fn digest(mut bytes: BoxStream<'static, Result<Bytes, BlobError>>) -> Result<[u8; 32], BlobError> {
    let mut digest = Sha256::new();
    while let Some(some) = bytes.try_next().await? {
        digest.update(&some);
    }
    Ok(digest.finalize().into())
}
