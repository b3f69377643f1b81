//! The store of a deployment, whichever it is. A role never asks.

use std::path::PathBuf;

use bytes::Bytes;
use reelway_domain::{
    FileEpoch, JobId, Offset, Staged, StagedChange, StoreId, UploadId, WriterEpoch, WriterId, limits,
};

use crate::{
    BlobError, BucketStore, DiskStore, Extent, Filling, JobOutput, ObjectReader, RunPlace, StagedFile, StagedObject,
    Synced, UploadReader,
};

/// All bytes of a deployment.
#[derive(Debug, Clone)]
pub enum Store {
    /// On a disk.
    Disk(DiskStore),
    /// In a bucket.
    Bucket(BucketStore),
}

/// An upload as its writer finds it.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Which upload.
    pub upload: UploadId,
    /// The writer's number.
    pub epoch: WriterEpoch,
    /// On a disk, the file that it writes.
    pub file: FileEpoch,
    /// Its length, if it is known.
    pub size: Option<Offset>,
    /// In a bucket, what is there.
    pub staged: Option<Staged>,
    /// Somebody reads it before it is complete.
    pub is_watched: bool,
}

/// Where a complete upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlace {
    /// Which upload.
    pub upload: UploadId,
    /// On a disk, the file that holds it.
    pub file: FileEpoch,
    /// In a bucket, the key of the object.
    pub key: Option<String>,
}

/// The writer's handle of an upload.
#[derive(Debug, Clone)]
pub enum Staging {
    /// In a file.
    File(StagedFile),
    /// In a bucket.
    Object(StagedObject),
}

impl Store {
    /// Which store this is: the same for all processes that share it, and for no other store.
    #[must_use]
    pub fn identity(&self) -> StoreId {
        match self {
            Self::Disk(disk) => disk.identity(),
            Self::Bucket(bucket) => bucket.identity(),
        }
    }

    /// As whom this process writes.
    #[must_use]
    pub fn writer_id(&self) -> WriterId {
        match self {
            Self::Disk(disk) => disk.writer_id(),
            Self::Bucket(bucket) => bucket.writer_id(),
        }
    }

    /// Whether the catalog keeps what is staged of an upload.
    #[must_use]
    pub fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// Whether something small can be made and removed.
    ///
    /// # Errors
    /// Why it can't.
    pub async fn check(&self) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.check().await,
            Self::Bucket(bucket) => bucket.check().await,
        }
    }

    /// Tries everything that servers do here, for whoever wants to know what is missing. Slower than [`Self::check`].
    ///
    /// # Errors
    /// The first operation that doesn't work.
    pub async fn check_rights(&self) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.check().await,
            Self::Bucket(bucket) => bucket.check_rights().await,
        }
    }

    /// How many bytes may still be written; `None`: as many as one likes.
    ///
    /// # Errors
    /// If a disk doesn't say.
    pub async fn free_bytes(&self) -> Result<Option<u64>, BlobError> {
        match self {
            Self::Disk(disk) => disk.free_bytes().await.map(Some),
            Self::Bucket(_) => Ok(None),
        }
    }

    /// Prepares for an upload. It is fine if that was done already.
    ///
    /// # Errors
    /// If a disk has no room.
    pub async fn create_upload(&self, id: UploadId) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.create_upload(id).await,
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Takes over the writing of an upload: see [`DiskStore::open_writer`].
    ///
    /// # Errors
    /// [`BlobError::Superseded`] if a later writer is there; [`BlobError::NotFound`] if what is to be gone on with is not there.
    pub async fn open_writer(&self, begin: Begin) -> Result<Staging, BlobError> {
        match self {
            Self::Disk(disk) => {
                let opened = disk.open_writer(begin.upload, begin.epoch, begin.file).await?;
                Ok(Staging::File(opened))
            }
            Self::Bucket(bucket) => {
                let staged = begin.staged.ok_or_else(|| BlobError::NotFound {
                    path: begin.upload.to_string().into(),
                })?;
                let Begin {
                    upload, epoch, size, ..
                } = begin;
                Ok(Staging::Object(bucket.writer(
                    upload,
                    epoch,
                    size,
                    staged,
                    begin.is_watched,
                )))
            }
        }
    }

    /// What reads a complete upload.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if it is not there.
    pub async fn read_upload(&self, place: &SourcePlace) -> Result<SourceReader, BlobError> {
        match self {
            Self::Disk(disk) => Ok(SourceReader::File(disk.read_upload(place.upload, place.file).await?)),
            Self::Bucket(bucket) => Ok(SourceReader::Object(bucket.reader(key(place)?))),
        }
    }

    /// The SHA-256 of a complete upload of `size` bytes. To stop it, drop the future.
    ///
    /// # Errors
    /// [`BlobError::Short`] if it is shorter.
    pub async fn sha256(&self, place: &SourcePlace, size: Offset) -> Result<[u8; 32], BlobError> {
        match self {
            Self::Disk(disk) => disk.sha256(place.upload, place.file, size).await,
            Self::Bucket(bucket) => bucket.reader(key(place)?).sha256(size).await,
        }
    }

    /// What holds all of a complete upload: a file on a disk, an object in a bucket.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if a bucket has no object of it.
    pub fn source(&self, place: &SourcePlace) -> Result<RunPlace, BlobError> {
        match self {
            Self::Disk(disk) => Ok(RunPlace::File(disk.upload_path(place.upload, place.file))),
            Self::Bucket(bucket) => Ok(RunPlace::Object(bucket.reader(key(place)?))),
        }
    }

    /// Removes what a complete upload doesn't need any more of what it was staged in. It is fine if there is nothing.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub async fn tidy_upload(&self, place: &SourcePlace) -> Result<(), BlobError> {
        match (self, &place.key) {
            (Self::Bucket(bucket), Some(key)) => bucket.remove_upload(place.upload, Some(key), None).await,
            _ => Ok(()),
        }
    }

    /// Removes everything of an upload. It is fine if there is nothing.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub async fn remove_upload(&self, id: UploadId) -> Result<(), BlobError> {
        match self {
            Self::Disk(disk) => disk.remove_upload(id).await,
            Self::Bucket(bucket) => bucket.remove_upload(id, None, None).await,
        }
    }

    /// A job's outputs.
    #[must_use]
    pub fn output(&self, job: JobId) -> JobOutput {
        match self {
            Self::Disk(disk) => JobOutput::Disk(disk.output(job)),
            Self::Bucket(bucket) => JobOutput::Bucket(bucket.output(job)),
        }
    }

    /// The bucket, if there is one.
    #[must_use]
    pub fn bucket(&self) -> Option<&BucketStore> {
        match self {
            Self::Disk(_) => None,
            Self::Bucket(bucket) => Some(bucket),
        }
    }

    /// The disk, where something is done that only disks need.
    #[must_use]
    pub fn disk(&self) -> Option<&DiskStore> {
        match self {
            Self::Disk(disk) => Some(disk),
            Self::Bucket(_) => None,
        }
    }
}

impl From<DiskStore> for Store {
    fn from(disk: DiskStore) -> Self {
        Self::Disk(disk)
    }
}

impl From<BucketStore> for Store {
    fn from(bucket: BucketStore) -> Self {
        Self::Bucket(bucket)
    }
}

/// Reads a complete upload.
#[derive(Debug, Clone)]
pub enum SourceReader {
    /// From a file.
    File(UploadReader),
    /// From an object.
    Object(ObjectReader),
}

impl SourceReader {
    /// Reads exactly so many bytes, all of which are in memory then.
    ///
    /// # Errors
    /// [`BlobError::Short`] if it ends before.
    pub async fn read_at(&self, at: Offset, bytes: usize) -> Result<Bytes, BlobError> {
        match self {
            Self::File(file) => file.read_at(at, bytes).await,
            Self::Object(object) => object.read_at(at, bytes).await,
        }
    }
}

impl Staging {
    /// Takes in `bytes` at `offset`. They are durable only after [`Self::sync`].
    ///
    /// # Errors
    /// Those of [`StagedFile::write_at`] or [`StagedObject::write_at`].
    pub async fn write_at(&self, offset: Offset, bytes: Bytes) -> Result<(), BlobError> {
        match self {
            Self::File(file) => file.write_at(offset, bytes).await,
            Self::Object(object) => object.write_at(offset, bytes).await,
        }
    }

    /// Where the upload is, if the store can copy bytes of complete uploads into it by itself.
    pub async fn filling(&self) -> Option<Filling> {
        match self {
            Self::File(_) => None,
            Self::Object(object) => object.filling().await,
        }
    }

    /// Has the store copy bytes of a complete upload, where [`Self::filling`] says that it can. They are durable only after [`Self::sync`].
    ///
    /// # Errors
    /// Those of [`StagedObject::copy_at`]; [`BlobError::NotFound`] on a disk.
    pub async fn copy_at(&self, at: Offset, source: &SourcePlace, from: Offset, bytes: u64) -> Result<(), BlobError> {
        let key = key(source)?;
        match self {
            Self::File(_) => Err(BlobError::NotFound { path: key.into() }),
            Self::Object(object) => object.copy_at(at, key, from, bytes).await,
        }
    }

    /// Makes durable what was written; `written` is its end. Gives what the catalog is to record.
    ///
    /// # Errors
    /// Those of [`StagedFile::sync`] or [`StagedObject::sync`]: whoever goes on needs a new handle.
    pub async fn sync(&self, extent: Extent, written: Offset) -> Result<Synced, BlobError> {
        match self {
            Self::File(file) => file.sync().await.map(|()| Synced::all(written)),
            Self::Object(object) => object.sync(extent).await,
        }
    }

    /// Takes over what the catalog has recorded of a sync.
    pub async fn recorded(&self, change: &StagedChange) {
        if let Self::Object(object) = self {
            object.recorded(change).await;
        }
    }

    /// After how many new bytes a long stream has something to make durable at no further cost.
    #[must_use]
    pub fn commit_bytes(&self) -> i64 {
        match self {
            Self::File(_) => limits::COMMIT_BYTES,
            Self::Object(object) => i64::try_from(object.part_bytes()).unwrap_or(i64::MAX),
        }
    }

    /// Ends the upload at `size` bytes. What it gives is to be recorded before [`Self::assemble`].
    ///
    /// # Errors
    /// [`BlobError::Short`] if bytes are missing; as [`Self::sync`] otherwise.
    pub async fn finish(&self, size: Offset) -> Result<Synced, BlobError> {
        match self {
            Self::File(file) => file.finish(size).await.map(|()| Synced::all(size)),
            Self::Object(object) => object.finish(size).await,
        }
    }

    /// Makes the upload one, after what [`Self::finish`] gave was recorded. Gives the key of the object if it is in a bucket.
    ///
    /// # Errors
    /// Those of [`StagedObject::assemble`].
    pub async fn assemble(&self, size: Offset) -> Result<Option<String>, BlobError> {
        match self {
            Self::File(_) => Ok(None),
            Self::Object(object) => object.assemble(size).await.map(Some),
        }
    }
}

pub(crate) fn key(place: &SourcePlace) -> Result<&str, BlobError> {
    place.key.as_deref().ok_or_else(|| BlobError::NotFound {
        path: PathBuf::from(place.upload.to_string()),
    })
}
