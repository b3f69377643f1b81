//! Bytes in a bucket of an object store: Amazon S3 and what speaks it, or Google Cloud Storage.
//!
//! An upload is one multipart upload while it arrives. Its parts are recorded in the catalog when the store has them; what
//! comes behind the last whole part is stored as an object of its own before it is acknowledged (`rest`). A writer that takes
//! over begins to number parts behind all numbers that its predecessor may still use, so what a paused process still sends is
//! a part that nobody names.

mod assemble;
mod budget;
mod buffer;
mod byte_span;
mod copy;
mod direct;
mod held;
mod list;
mod names;
mod open;
mod output;
mod part;
mod read;
mod rest;
mod resumed;
mod rights;
mod schedule;
mod sign;
mod staged;
mod tail;
mod wire;

use std::sync::Arc;

use object_store::{
    Attribute, AttributeValue, Attributes, ObjectStore, PutMultipartOptions, multipart::MultipartStore, signer::Signer,
};
use reelway_domain::{StoreId, WriterId};

use self::{budget::Budget, copy::Copies, names::Names, wire::Wire};
pub use self::{
    byte_span::ByteSpan,
    copy::{Filling, Step},
    direct::ListedPart,
    held::{Held, Owner, What},
    open::{BucketSettings, BucketUrl, Encryption, EncryptionError},
    output::BucketOutput,
    read::ObjectReader,
    resumed::{OpenObject, Opened},
    staged::StagedObject,
    tail::ObjectTail,
};

/// How much of all uploads may be in memory together if nothing else is said, in bytes.
pub const UPLOAD_MEMORY_BYTES_DEFAULT: u64 = 64 << 20;

/// All bytes of a deployment, in one bucket below one prefix. Clones are the same store.
#[derive(Debug, Clone)]
pub struct BucketStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) multiparts: Arc<dyn Multiparts>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) wire: Wire,
    pub(crate) copies: Copies,
    pub(crate) names: Names,
    /// The storage class of sources and outputs.
    storage_class: Option<String>,
    pub(crate) budget: Budget,
    /// Room for what is read back of a part.
    pub(crate) reloads: Budget,
    /// Room for tails that are on their way.
    pub(crate) tails: Budget,
    identity: StoreId,
    writer: WriterId,
}

impl Inner {
    /// How sources and outputs are stored.
    fn attributes(&self) -> Attributes {
        let class = self.storage_class.clone();
        class
            .map(|class| (Attribute::StorageClass, AttributeValue::from(class)))
            .into_iter()
            .collect()
    }

    /// The same, for those that are sent in parts.
    fn multipart_options(&self) -> PutMultipartOptions {
        PutMultipartOptions {
            attributes: self.attributes(),
            ..PutMultipartOptions::default()
        }
    }
}

/// A multipart store that can be shown in logs.
pub(crate) trait Multiparts: MultipartStore + std::fmt::Debug {}

impl<T: MultipartStore + std::fmt::Debug> Multiparts for T {}

impl BucketStore {
    /// Which store this is: the same for all processes that share it, and for no other store.
    #[must_use]
    pub fn identity(&self) -> StoreId {
        self.inner.identity
    }

    /// As whom this process writes: somebody new with each start.
    #[must_use]
    pub fn writer_id(&self) -> WriterId {
        self.inner.writer
    }
}

#[cfg(test)]
mod tests;
