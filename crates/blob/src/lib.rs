//! Bytes on the local disk: files on their way in, and what is made of them.
//!
//! What a call has reported as done is on stable storage, including the directory entries that lead to it.

mod digest;
mod dir;
mod error;
mod fence;
mod key;
mod output;
mod staged;
mod store;
mod task;

pub use error::BlobError;
pub use key::{KeyError, OutputKey};
pub use output::JobOutput;
pub use staged::StagedFile;
pub use store::{DiskStore, Stored};
