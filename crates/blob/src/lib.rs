//! Bytes on the local disk: files on their way in, and what is made of them.
//!
//! What a call has reported as done is on stable storage, including the directory entries that lead to it.

mod any;
mod any_tail;
mod arrived;
mod arrived_object;
mod bucket;
#[cfg(test)]
mod contract;
mod digest;
mod dir;
mod error;
mod fence;
mod fill;
mod identity;
mod job_output;
mod key;
mod media_type;
mod moved;
mod name;
mod output;
mod read;
mod sharing;
mod staged;
mod store;
mod stores;
mod synced;
mod tail;
mod tail_name;
mod task;
#[cfg(test)]
mod testing;
mod uploads;

pub use any::{Begin, SourcePlace, SourceReader, Staging, Store};
pub use any_tail::StoreTail;
pub use arrived::{ArrivedBytes, ArrivedRun, RunPlace};
pub use bucket::{
    BucketOutput, BucketSettings, BucketStore, BucketUrl, ByteSpan, Encryption, EncryptionError, Filling, Held,
    ListedPart, ObjectReader, ObjectTail, OpenObject, Opened, Owner, StagedObject, Step, UPLOAD_MEMORY_BYTES_DEFAULT,
    What,
};
pub use error::BlobError;
pub use job_output::JobOutput;
pub use key::{KeyError, OutputKey};
pub use media_type::MediaType;
pub use name::{UploadFile, UploadFileError};
pub use output::DiskOutput;
pub use read::UploadReader;
pub use sharing::Sharing;
pub use staged::StagedFile;
pub use store::{DiskStore, Stored};
pub use stores::Stores;
pub use synced::{Extent, Synced};
pub use tail::TailDraft;
pub use tail_name::{TailFile, TailFileError};
