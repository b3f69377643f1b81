//! The stores that the suite is run on.

use std::env;

use reelway_domain::UploadId;
use tempfile::TempDir;

use crate::{BucketSettings, BucketStore, BucketUrl, DiskStore, Sharing, Store};

/// Where an empty store is.
#[derive(Debug)]
pub(super) enum Place {
    Disk(TempDir),
    Bucket(Box<BucketUrl>, BucketSettings),
}

impl Place {
    /// One of each kind.
    pub(super) fn all() -> [Self; 2] {
        let of = |name| env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
        // A prefix of its own is a store of its own.
        let url = format!("{}/contract-{}", of("REELWAY_TEST_S3"), UploadId::new());
        let settings = BucketSettings {
            endpoint: Some(of("REELWAY_TEST_S3_ENDPOINT").parse().unwrap()),
            ..BucketSettings::default()
        };
        [
            Self::Disk(tempfile::tempdir().unwrap()),
            Self::Bucket(Box::new(url.parse().unwrap()), settings),
        ]
    }

    /// The store, as one more process opens it.
    pub(super) async fn open(&self) -> Store {
        match self {
            Self::Disk(dir) => DiskStore::open(dir.path(), Sharing::Shared).unwrap().into(),
            Self::Bucket(url, settings) => BucketStore::open(url, settings).await.unwrap().into(),
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
