//! What a bucket holds of an upload that is not complete, as the catalog records it.

use crate::Offset;

/// A multipart upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// The store's name for it.
    pub id: String,
    /// The key of the object that it becomes.
    pub key: String,
}

/// A part that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Its number, from 1. Numbers ascend with offsets; some may be left out.
    pub number: u32,
    /// Where it begins in the upload.
    pub from: Offset,
    /// How long it is.
    pub size_bytes: i64,
    /// What the store calls this very content; empty of one that is lost: it was put again after it had counted, so that the store has
    /// something else, and has to be put once more.
    pub etag: String,
}

impl StoredPart {
    /// Whether the store has it otherwise than it counted.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.etag.is_empty()
    }

    /// Where it ends in the upload.
    #[must_use]
    pub fn to(&self) -> Offset {
        Offset(self.from.0 + self.size_bytes)
    }
}

/// An object that holds bytes behind the last part, too few to be a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRest {
    /// The object's key.
    pub key: String,
    /// Where it begins in the upload.
    pub from: Offset,
    /// Where it ends.
    pub to: Offset,
}

/// All that a bucket holds of an upload up to its durable offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// What the parts belong to.
    pub multipart: Option<Multipart>,
    /// From the beginning on, without a gap.
    pub parts: Vec<StoredPart>,
    /// Behind the last part, without a gap.
    pub rests: Vec<StoredRest>,
    /// The lowest number that no writer has used, or may still use.
    pub next_number: u32,
}

/// What a commit adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StagedChange {
    /// What the parts belong to, if it is new.
    pub multipart: Option<Multipart>,
    /// Parts; rests that they hold the bytes of are not needed any more.
    pub parts: Vec<StoredPart>,
    /// What came behind the last part, without a gap.
    pub rests: Vec<StoredRest>,
}
