//! The bytes and the catalog of a node.

use reelway_blob::{BucketSettings, BucketStore, Store};
use reelway_catalog::Catalog;
use tempfile::TempDir;

/// The bucket that `scripts/test` has a server for, below a prefix of the test's own.
pub(super) async fn bucket(prefix: &str) -> Store {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
    let url = format!("{}/{prefix}", of("REELWAY_TEST_S3"));
    let settings = BucketSettings {
        endpoint: Some(of("REELWAY_TEST_S3_ENDPOINT").parse().unwrap()),
        ..BucketSettings::default()
    };
    BucketStore::open(&url.parse().unwrap(), &settings)
        .await
        .unwrap()
        .into()
}

pub(super) async fn catalog(data: &TempDir) -> Catalog {
    let url = format!("sqlite://{}", data.path().join("catalog.db").display());
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.migrate().await.unwrap();
    catalog
}
