//! Reading objects: exact runs of them, without having the whole in memory.

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{ObjectStoreExt as _, path::Path};
use reelway_domain::{Offset, Staged, StoreId, UploadId};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{BucketStore, ByteSpan, Inner, Opened};
use crate::{
    ArrivedRun, BlobError, RunPlace,
    error::{Asked as _, Tried as _},
};

/// One object, to be read. Its bytes never change under the key.
#[derive(Debug, Clone)]
pub struct ObjectReader {
    pub(super) store: Arc<Inner>,
    pub(super) key: Path,
}

impl BucketStore {
    /// What reads the object with this key.
    #[must_use]
    pub fn reader(&self, key: &str) -> ObjectReader {
        ObjectReader {
            store: Arc::clone(&self.inner),
            key: Path::from(key),
        }
    }

    /// Where the bytes of an upload can be read that is not complete: in copies of its parts, each of which is there before
    /// the part counts if somebody waits for it and the bucket took it, and in what comes behind the last one.
    #[must_use]
    pub fn arrived(&self, id: UploadId, staged: &Staged) -> Vec<ArrivedRun> {
        let run = |key: &str, from: Offset, to: Offset| ArrivedRun {
            place: RunPlace::Object(self.reader(key)),
            from: from.as_u64(),
            to: to.as_u64(),
            origin: from.as_u64(),
        };
        let copies = staged.parts.iter().map(|part| {
            let key = self.inner.names.seen(id, part.number);
            run(key.as_ref(), part.from, part.to())
        });
        let rests = staged.rests.iter().map(|rest| run(&rest.key, rest.from, rest.to));
        copies.chain(rests).collect()
    }
}

impl ObjectReader {
    /// The object's key in its bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_ref()
    }

    /// Which store the object is in.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.store.identity
    }

    /// Reads exactly so many bytes, all of which are in memory then.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub async fn read_at(&self, at: Offset, bytes: usize) -> Result<Bytes, BlobError> {
        let from = at.as_u64();
        let mut pieces = self.stream(from, from + bytes as u64).await?;
        let Some(first) = pieces.try_next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() == bytes {
            return Ok(first);
        }
        let mut all = BytesMut::with_capacity(bytes);
        all.extend_from_slice(&first);
        while let Some(piece) = pieces.try_next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The bytes from `from` up to `to` as they come: see [`OpenObject::into_stream`](super::OpenObject::into_stream).
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object, [`BlobError::Short`] if it ends before; those of the bucket.
    pub async fn stream(&self, from: u64, to: u64) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        if from == to {
            return Ok(futures_util::stream::empty().boxed());
        }
        match self.open(ByteSpan::Between(from, to)).await? {
            Opened::Bytes(found) if found.to == to => Ok(found.into_stream()),
            Opened::Bytes(found) => Err(self.short(found.to, to)),
            Opened::Outside { size_bytes } => Err(self.short(size_bytes, to)),
        }
    }

    /// Copies the whole object into a new local file.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object; those of the bucket and of the disk.
    pub async fn copy_to(&self, copy: &FilePath) -> Result<(), BlobError> {
        let opened = self.open(ByteSpan::Whole).await?;
        let mut file = tokio::fs::File::create(copy).await.tried("create", copy)?;
        // Of an object without a byte, none is asked for either.
        if let Opened::Bytes(found) = opened {
            let mut bytes = found.into_stream();
            while let Some(some) = bytes.try_next().await? {
                file.write_all(&some).await.tried("write", copy)?;
            }
        }
        file.flush().await.tried("write", copy)
    }

    /// A number that is another one for every key.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let digest = Sha256::digest(self.key.as_ref().as_bytes());
        digest[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// How long the object is, in bytes.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object.
    pub async fn size_bytes(&self) -> Result<u64, BlobError> {
        Ok(self
            .store
            .objects
            .head(&self.key)
            .await
            .asked("look at", &self.key)?
            .size)
    }

    /// The SHA-256 of the first `size` bytes. To stop it, drop the future.
    ///
    /// # Errors
    /// [`BlobError::Short`] if the object ends before.
    pub async fn sha256(&self, size: Offset) -> Result<[u8; 32], BlobError> {
        let mut bytes = self.stream(0, size.as_u64()).await?;
        let mut hasher = Sha256::new();
        while let Some(some) = bytes.try_next().await? {
            hasher.update(&some);
        }
        Ok(hasher.finalize().into())
    }

    fn short(&self, have: u64, expected: u64) -> BlobError {
        BlobError::Short {
            path: PathBuf::from(self.key.as_ref()),
            have,
            expected,
        }
    }
}
