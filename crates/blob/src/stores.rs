//! Where sources and where outputs are: in one store or in two.

use crate::{BlobError, BucketStore, DiskStore, Store};

/// The stores of a deployment.
#[derive(Debug, Clone)]
pub struct Stores {
    /// What uploads are written to, and read from as sources.
    pub sources: Store,
    /// What jobs make, which is played from here.
    pub outputs: Store,
}

impl Stores {
    /// Each store once.
    pub fn distinct(&self) -> impl Iterator<Item = &Store> {
        let is_other = self.outputs.identity() != self.sources.identity();
        std::iter::once(&self.sources).chain(is_other.then_some(&self.outputs))
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
