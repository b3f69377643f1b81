//! The stores that the suite is run on.

use tempfile::TempDir;

use crate::{
    DiskStore, Sharing, Store,
    testing::{At, TestBucket},
};

/// Where an empty store is.
#[derive(Debug)]
pub(super) enum Place {
    Disk(TempDir),
    Bucket(TestBucket),
}

impl Place {
    /// One of each kind.
    pub(super) fn all() -> [Self; 3] {
        [
            Self::Disk(tempfile::tempdir().unwrap()),
            Self::Bucket(At::S3.bucket()),
            Self::Bucket(At::Google.bucket()),
        ]
    }

    /// The store, as one more process opens it.
    pub(super) async fn open(&self) -> Store {
        match self {
            Self::Disk(dir) => DiskStore::open(dir.path(), Sharing::Shared).unwrap().into(),
            Self::Bucket(bucket) => bucket.open().await.into(),
        }
    }
}

#[tokio::test]
async fn all_who_open_a_store_find_the_same_and_write_as_somebody_else() {
    let mut seen = Vec::new();
    for place in Place::all().into_iter().chain(Place::all()) {
        let (one, two) = tokio::join!(place.open(), place.open());
        assert_eq!(one.identity(), two.identity(), "{place:?}");
        assert_ne!(one.writer_id(), two.writer_id(), "{place:?}");
        assert!(
            !seen.contains(&one.identity()),
            "{place:?}: another store has this name"
        );
        seen.push(one.identity());
        one.check().await.unwrap();
        one.check().await.unwrap();
    }
}
