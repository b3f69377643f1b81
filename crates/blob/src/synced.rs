//! What became durable.

use reelway_domain::{Offset, StagedChange};

/// How much a sync is to make durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What costs nothing more than is under way: on a disk that is everything, in a bucket whole parts.
    Parts,
    /// All that was written.
    Everything,
}

/// What a sync made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// Every byte below is on stable storage.
    pub offset: Offset,
    /// What the catalog is to record of it.
    pub change: StagedChange,
}

impl Synced {
    /// All up to an offset, of which the catalog records nothing more.
    pub(crate) fn all(offset: Offset) -> Self {
        Self {
            offset,
            change: StagedChange::default(),
        }
    }
}
