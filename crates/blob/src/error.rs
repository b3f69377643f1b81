//! What can go wrong with stored bytes, and what callers hear of it.

use std::{
    io,
    path::{Path, PathBuf},
};

use object_store::path::Path as ObjectPath;
use reelway_domain::{Failure, Reason, WriterEpoch};

/// A store operation that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk or the quota is used up.
    #[error("the store has no room; {written} bytes of this write were stored")]
    StorageFull {
        /// How many bytes, from the beginning of the write, were stored before that.
        written: u64,
    },
    /// There is no such file.
    #[error("{path} is not there", path = path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// There is such a file already.
    #[error("{path} is there already", path = path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// The file holds fewer bytes than were acknowledged.
    #[error("{path} holds {have} bytes instead of {expected}", path = path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds.
        have: u64,
        /// How many it should hold.
        expected: u64,
    },
    /// A later writer has taken over this upload.
    #[error("writer {by} has taken over")]
    Superseded {
        /// The later writer's number.
        by: WriterEpoch,
    },
    /// An earlier sync of this file failed: nobody knows which bytes were lost.
    #[error("an earlier sync of {path} failed", path = path.display())]
    SyncFailed {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the store.
    #[error("the store {path} is in use by {by}", path = path.display())]
    InUse {
        /// The store's directory.
        path: PathBuf,
        /// Which process that is.
        by: String,
    },
    /// The bucket's server refused, or didn't answer in time.
    #[error("can't {operation} {key}: {source}")]
    Remote {
        /// What was tried.
        operation: &'static str,
        /// With which object.
        key: String,
        /// What the server said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part of a multipart upload did not get to the bucket: nobody knows whether it will.
    #[error("part {number} was not stored: {why}")]
    PartLost {
        /// Its number.
        number: u32,
        /// What the server said.
        why: String,
    },
    /// Parts of an upload were put again after they had counted, by whoever has the URLs: the bucket has something else.
    #[error("the parts {numbers:?} are not what they were when they counted")]
    PartsChanged {
        /// Their numbers, in order.
        numbers: Vec<u32>,
    },
    /// The upload is so long, or may become so long, that its parts don't fit the memory that uploads may take.
    #[error("a part of {part_bytes} bytes doesn't fit {memory_bytes_max} bytes of memory")]
    PartTooLong {
        /// How long the part would be.
        part_bytes: u64,
        /// How much memory all uploads may take.
        memory_bytes_max: u64,
    },
    /// The operating system refused.
    #[error("can't {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Callers hear a reason and never a path. What only an operator can act on is logged here, once.
impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::StorageFull { .. } => Failure::new(Reason::StorageFull, "the store has no room"),
            BlobError::Superseded { by } => {
                Failure::new(Reason::WriterSuperseded, "another stream writes this upload now").with("writerEpoch", by)
            }
            BlobError::PartTooLong { .. } => {
                let message = "the upload is too long for the memory of this server; name its length when it is created, \
                               or give upload servers more with --upload-memory";
                Failure::new(Reason::SizeExceeded, message)
            }
            BlobError::PartsChanged { numbers } => {
                let message = "parts were put again after they had counted, and are not what they were; ask for parts, which gives \
                               them once more, and put and report them";
                let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                Failure::new(Reason::PartMismatch, message).with("partNumbers", numbers.join(","))
            }
            BlobError::SyncFailed { .. }
            | BlobError::InUse { .. }
            | BlobError::Io { .. }
            | BlobError::Remote { .. }
            | BlobError::PartLost { .. } => {
                tracing::error!(%error, "store operation failed");
                Failure::new(Reason::StoreUnavailable, "the store answered with an error")
            }
            // The message of an internal failure is logged where it becomes a status, and hidden from callers.
            BlobError::NotFound { .. } | BlobError::AlreadyExists { .. } | BlobError::Short { .. } => {
                Failure::new(Reason::Internal, error.to_string())
            }
        }
    }
}

/// Turns an object store's error into one that says what was tried.
pub(crate) trait Asked<T> {
    /// Names the operation, as a verb, and the object.
    fn asked(self, operation: &'static str, key: &ObjectPath) -> Result<T, BlobError>;
}

impl<T> Asked<T> for object_store::Result<T> {
    fn asked(self, operation: &'static str, key: &ObjectPath) -> Result<T, BlobError> {
        self.map_err(|source| match source {
            object_store::Error::NotFound { .. } => BlobError::NotFound {
                path: PathBuf::from(key.as_ref()),
            },
            object_store::Error::AlreadyExists { .. } => BlobError::AlreadyExists {
                path: PathBuf::from(key.as_ref()),
            },
            source => BlobError::Remote {
                operation,
                key: key.to_string(),
                source: Box::new(source),
            },
        })
    }
}

/// Turns an I/O error into one that says what was tried.
pub(crate) trait Tried<T> {
    /// Names the operation, as a verb, and the file.
    fn tried(self, operation: &'static str, path: &Path) -> Result<T, BlobError>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, operation: &'static str, path: &Path) -> Result<T, BlobError> {
        self.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::StorageFull { written: 0 },
            io::ErrorKind::NotFound => BlobError::NotFound { path: path.to_owned() },
            io::ErrorKind::AlreadyExists => BlobError::AlreadyExists { path: path.to_owned() },
            _ => BlobError::Io {
                operation,
                path: path.to_owned(),
                source,
            },
        })
    }
}
