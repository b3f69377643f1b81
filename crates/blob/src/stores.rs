//! Where sources, outputs, and sources that have served are: in one store or in several.

use reelway_domain::SourceState;

use crate::{BlobError, BucketStore, DiskStore, Store};

/// The stores of a deployment.
#[derive(Debug, Clone)]
pub struct Stores {
    /// What uploads are written to, and read from as sources.
    pub sources: Store,
    /// What jobs make, which is played from here.
    pub outputs: Store,
    /// What sources are moved to after success; never the store that they are uploaded to. `None`: they are not.
    pub archive: Option<Store>,
}

impl Stores {
    /// Each store once.
    pub fn distinct(&self) -> impl Iterator<Item = &Store> {
        let is_other = self.outputs.identity() != self.sources.identity();
        let archive = self.archive.as_ref();
        let archive = archive.filter(|archive| archive.identity() != self.outputs.identity());
        std::iter::once(&self.sources)
            .chain(is_other.then_some(&self.outputs))
            .chain(archive)
    }

    /// Whether this is the store that sources are moved to.
    #[must_use]
    pub fn is_archive(&self, store: &Store) -> bool {
        let archive = self.archive.as_ref();
        archive.is_some_and(|archive| archive.identity() == store.identity())
    }

    /// The store that has a source; `None` if none does.
    #[must_use]
    pub fn holding(&self, source: SourceState) -> Option<&Store> {
        match source {
            SourceState::Stored => Some(&self.sources),
            SourceState::Archived => self.archive.as_ref(),
            SourceState::Removed => None,
        }
    }

    /// Whether something small can be made and removed in each of them.
    ///
    /// # Errors
    /// Why it can't.
    pub async fn check(&self) -> Result<(), BlobError> {
        for store in self.distinct() {
            store.check().await?;
        }
        Ok(())
    }

    /// How many bytes may still be written, where there is least room; `None`: as many as one likes.
    ///
    /// # Errors
    /// If a disk doesn't say.
    pub async fn free_bytes(&self) -> Result<Option<u64>, BlobError> {
        let mut least: Option<u64> = None;
        for store in self.distinct() {
            if let Some(free) = store.free_bytes().await? {
                least = Some(least.map_or(free, |least| least.min(free)));
            }
        }
        Ok(least)
    }
}

/// One store for both.
impl From<Store> for Stores {
    fn from(store: Store) -> Self {
        Self {
            sources: store.clone(),
            outputs: store,
            archive: None,
        }
    }
}

impl From<DiskStore> for Stores {
    fn from(disk: DiskStore) -> Self {
        Store::from(disk).into()
    }
}

impl From<BucketStore> for Stores {
    fn from(bucket: BucketStore) -> Self {
        Store::from(bucket).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sharing;

    fn disk(dir: &tempfile::TempDir) -> Store {
        DiskStore::open(dir.path(), Sharing::Exclusive).unwrap().into()
    }

    #[tokio::test]
    async fn one_store_is_looked_at_once_and_two_are_both_looked_at() {
        let (dir, another) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let one = Stores::from(disk(&dir));
        assert_eq!(one.distinct().count(), 1);
        let two = Stores {
            outputs: disk(&another),
            ..one.clone()
        };
        assert_eq!(two.distinct().count(), 2);
        let archived = Stores {
            archive: Some(two.outputs.clone()),
            ..two.clone()
        };
        assert_eq!(
            archived.distinct().count(),
            2,
            "outputs and what has served may be in one"
        );
        assert!(archived.is_archive(&archived.outputs) && !archived.is_archive(&archived.sources));
        let holding = |stores: &Stores, state| stores.holding(state).map(Store::identity);
        for (state, expected) in [
            (SourceState::Stored, Some(two.sources.identity())),
            (SourceState::Archived, Some(two.outputs.identity())),
            (SourceState::Removed, None),
        ] {
            assert_eq!(holding(&archived, state), expected, "{state}");
        }
        assert_eq!(holding(&two, SourceState::Archived), None);
        assert!(two.free_bytes().await.unwrap().is_some());
        two.check().await.unwrap();
        another.close().unwrap();
        assert!(
            two.check().await.is_err(),
            "where outputs belong, nothing can be written"
        );
        assert!(one.check().await.is_ok());
    }
}
