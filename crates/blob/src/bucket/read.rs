//! Reading objects: exact runs of them, without having the whole in memory.

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, path::Path};
use reelway_domain::{Offset, Staged, UploadId};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{BucketStore, Inner};
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

    /// Where the bytes of an upload can be read that is not complete: in copies of its parts, each of which is there a moment after
    /// the part is if somebody waits for it, and in what comes behind the last one.
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
    /// Reads exactly so many bytes, all of which are in memory then.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object, [`BlobError::Short`] if it ends before.
    pub async fn read_at(&self, at: Offset, bytes: usize) -> Result<Bytes, BlobError> {
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        let (from, to) = (at.as_u64(), at.as_u64() + bytes as u64);
        let read = self
            .store
            .objects
            .get_range(&self.key, from..to)
            .await
            .asked("read", &self.key)?;
        if read.len() == bytes {
            Ok(read)
        } else {
            Err(self.short(from + read.len() as u64, to))
        }
    }

    /// The bytes from `from` up to `to` as they come. The stream ends with an error if the object ends before, or if the connection
    /// breaks: then go on from where it ended.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object.
    pub async fn stream(&self, from: u64, to: u64) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        if from == to {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(from..to)),
            ..GetOptions::default()
        };
        let found = self
            .store
            .objects
            .get_opts(&self.key, options)
            .await
            .asked("read", &self.key)?;
        let (key, has) = (self.key.clone(), found.range.end);
        if has != to {
            return Err(self.short(has, to));
        }
        Ok(found.into_stream().map(move |bytes| bytes.asked("read", &key)).boxed())
    }

    /// Copies the whole object into a new local file.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object; those of the bucket and of the disk.
    pub async fn copy_to(&self, copy: &FilePath) -> Result<(), BlobError> {
        let mut bytes = self.stream(0, self.size_bytes().await?).await?;
        let mut file = tokio::fs::File::create(copy).await.tried("create", copy)?;
        while let Some(some) = bytes.try_next().await? {
            file.write_all(&some).await.tried("write", copy)?;
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
