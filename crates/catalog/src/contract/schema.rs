//! Migrating, and refusing what doesn't fit.

use super::{db::Db, on_both};
use crate::{Catalog, Error};

on_both!(
    migrating_twice_changes_nothing,
    concurrent_migrations_agree,
    a_newer_schema_is_refused
);

async fn migrating_twice_changes_nothing(db: &Db) {
    db.receiving().await;
    db.catalog.migrate().await.unwrap();
    assert_eq!(db.count("uploads").await, 1);
    db.catalog.ping().await.unwrap();
}

async fn concurrent_migrations_agree(db: &Db) {
    let (a, b) = tokio::join!(db.catalog.migrate(), db.catalog.migrate());
    a.unwrap();
    b.unwrap();
}

async fn a_newer_schema_is_refused(db: &Db) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    db.raw(newer).await.unwrap();
    let refused = db.catalog.migrate().await;
    assert!(matches!(refused, Err(Error::NewerSchema(9999))), "{refused:?}");
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/catalog.db", dir.path().display());
    let first = Catalog::open(&url).await.unwrap();
    let second = Catalog::open(&url).await;
    assert!(matches!(&second, Err(Error::Locked(_))), "{second:?}");
    first.close().await;
    drop(first);
    Catalog::open(&url).await.unwrap();
}

#[tokio::test]
async fn a_directory_may_have_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b%20c?d#é").join("catalog.db");
    let catalog = Catalog::open(&format!("sqlite://{}", path.display())).await.unwrap();
    catalog.migrate().await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn another_url_is_refused() {
    assert!(matches!(Catalog::open("mysql://localhost/x").await, Err(Error::Url(_))));
}
