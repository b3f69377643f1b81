//! What was made of an upload, wherever it is.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::{BlobError, BucketOutput, DiskOutput, OutputKey, RunPlace};

/// The outputs of one job.
#[derive(Debug, Clone)]
pub enum JobOutput {
    /// On a disk.
    Disk(DiskOutput),
    /// In a bucket.
    Bucket(BucketOutput),
}

impl JobOutput {
    /// Moves a finished local file in, durably. Nothing is ever overwritten by this on a disk; in a bucket, nobody else has the key.
    ///
    /// # Errors
    /// [`BlobError::AlreadyExists`] if the key is taken, [`BlobError::Io`] if `from` is not a regular file; `from` stays.
    pub async fn adopt(&self, key: &OutputKey, from: &Path) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.adopt(key, from).await,
            Self::Bucket(bucket) => bucket.adopt(key, from).await,
        }
    }

    /// Writes something small durably. What was there before is replaced as a whole: a reader sees the one or the other.
    ///
    /// # Errors
    /// Those of the store; then what was there before still is.
    pub async fn write(&self, key: &OutputKey, bytes: Bytes) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.write(key, bytes).await,
            Self::Bucket(bucket) => bucket.write(key, bytes).await,
        }
    }

    /// Reads something small whole.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] and others.
    pub async fn read(&self, key: &OutputKey) -> Result<Bytes, BlobError> {
        match self {
            Self::Disk(disk) => disk.read(key).await,
            Self::Bucket(bucket) => bucket.read(key).await,
        }
    }

    /// A local file with what an output holds: the output itself on a disk, a copy at `copy` of one in a bucket.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] and others.
    pub async fn local(&self, key: &OutputKey, copy: &Path) -> Result<PathBuf, BlobError> {
        match self {
            Self::Disk(disk) => Ok(disk.path(key)),
            Self::Bucket(bucket) => {
                bucket.reader(key).copy_to(copy).await?;
                Ok(copy.to_owned())
            }
        }
    }

    /// What holds an output: a file on a disk, an object in a bucket.
    #[must_use]
    pub fn place(&self, key: &OutputKey) -> RunPlace {
        match self {
            Self::Disk(disk) => RunPlace::File(disk.path(key)),
            Self::Bucket(bucket) => RunPlace::Object(bucket.reader(key)),
        }
    }

    /// The outputs and directories of outputs at the top. None if nothing was made.
    ///
    /// # Errors
    /// If they can't be listed.
    pub async fn prefixes(&self) -> Result<Vec<OutputKey>, BlobError> {
        match self {
            Self::Disk(disk) => disk.prefixes().await,
            Self::Bucket(bucket) => bucket.prefixes().await,
        }
    }

    /// Removes an output or everything below a key. It is fine if there is nothing.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub async fn remove_prefix(&self, key: &OutputKey) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.remove_prefix(key).await,
            Self::Bucket(bucket) => bucket.remove_prefix(key).await,
        }
    }

    /// Removes everything of the job. It is fine if there is nothing.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub async fn remove(&self) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.remove().await,
            Self::Bucket(bucket) => bucket.remove().await,
        }
    }
}
