//! Tails, whichever the store is.

use bytes::Bytes;
use reelway_domain::{Offset, UploadId};

use crate::{BlobError, ObjectTail, SourcePlace, Store, TailDraft, any::key};

/// A tail that is being received. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub enum StoreTail {
    /// Into a file.
    File(TailDraft),
    /// Into a bucket.
    Object(ObjectTail),
}

impl Store {
    /// Begins to receive the tail of an upload, from `tail` to its end.
    ///
    /// # Errors
    /// If a disk has no room.
    pub async fn begin_tail(&self, id: UploadId, tail: Offset, end: Offset) -> Result<StoreTail, BlobError> {
        match self {
            Self::Disk(disk) => Ok(StoreTail::File(disk.begin_tail(id, tail).await?)),
            Self::Bucket(bucket) => Ok(StoreTail::Object(bucket.begin_tail(id, tail, end).await)),
        }
    }

    /// Whether the tail that begins at `tail` holds what a whole upload of `size` bytes holds there.
    ///
    /// # Errors
    /// If one of them is not there or can't be read.
    pub async fn tail_is_like(&self, place: &SourcePlace, tail: Offset, size: Offset) -> Result<bool, BlobError> {
        match self {
            Self::Disk(disk) => disk.tail_is_like(place.upload, place.file, tail).await,
            Self::Bucket(bucket) => bucket.tail_is_like(place.upload, key(place)?, tail, size).await,
        }
    }

    /// Removes a tail. It is fine if there is none.
    ///
    /// # Errors
    /// If it can't be removed.
    pub async fn remove_tail(&self, id: UploadId, tail: Offset) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.remove_tail(id, tail).await,
            Self::Bucket(bucket) => bucket.remove_tail(id, tail).await,
        }
    }
}

impl StoreTail {
    /// Adds bytes at the end. They are durable only once it is kept.
    ///
    /// # Errors
    /// Those of the store; the tail is gone then.
    pub async fn append(self, bytes: Bytes) -> Result<Self, BlobError> {
        match self {
            Self::File(file) => file.append(bytes).await.map(Self::File),
            Self::Object(object) => object.append(bytes).await.map(Self::Object),
        }
    }

    /// Whether the tail that was kept before has the same bytes. `false` if there is none.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub async fn is_like_kept(self) -> Result<bool, BlobError> {
        match self {
            Self::File(file) => file.is_like_kept().await,
            Self::Object(object) => object.is_like_kept().await,
        }
    }

    /// Makes it the upload's tail, durably.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keep(self) -> Result<(), BlobError> {
        match self {
            Self::File(file) => file.keep().await,
            Self::Object(object) => object.keep().await,
        }
    }
}
