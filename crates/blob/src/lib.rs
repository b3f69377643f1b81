//! Bytes on the local disk: files on their way in, and what is made of them.
//!
//! What a call has reported as done is on stable storage, including the directory entries that lead to it.

mod arrived;
mod digest;
mod dir;
mod error;
mod fence;
mod fill;
mod identity;
mod key;
mod name;
mod output;
mod read;
mod sharing;
mod staged;
mod store;
mod tail;
mod tail_name;
mod task;
mod uploads;

pub use arrived::{ArrivedBytes, ArrivedRun};
pub use error::BlobError;
pub use key::{KeyError, OutputKey};
pub use name::{UploadFile, UploadFileError};
pub use output::JobOutput;
pub use read::UploadReader;
pub use sharing::Sharing;
pub use staged::StagedFile;
pub use store::{DiskStore, Stored};
pub use tail::TailDraft;
pub use tail_name::{TailFile, TailFileError};
