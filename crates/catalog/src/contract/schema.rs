//! Migrating, refusing what doesn't fit, and working with what only has more.

use super::{db::Db, effects, endings, jobs, leases, on_both};
use crate::{Catalog, Error, Schema};

on_both!(
    migrating_twice_changes_nothing,
    concurrent_migrations_agree,
    an_older_schema_is_told,
    a_schema_that_only_has_more_is_as_good,
    a_schema_that_lost_something_is_refused,
);

async fn migrating_twice_changes_nothing(db: &Db) {
    db.receiving().await;
    db.catalog.migrate().await.unwrap();
    assert_eq!(db.count("uploads").await, 1);
    db.catalog.ping().await.unwrap();
    assert_eq!(db.catalog.schema().await.unwrap(), Schema::Current);
}

async fn concurrent_migrations_agree(db: &Db) {
    db.empty().await;
    assert_eq!(db.catalog.schema().await.unwrap(), Schema::Older { version: None });
    let migrate = async || db.catalog.migrate().await.unwrap();
    tokio::join!(migrate(), migrate(), migrate(), migrate());
    assert_eq!(db.catalog.schema().await.unwrap(), Schema::Current);
    db.complete().await;
}

async fn an_older_schema_is_told(db: &Db) {
    let newest = db.number("SELECT MAX(version) FROM _sqlx_migrations").await;
    db.raw(&format!("DELETE FROM _sqlx_migrations WHERE version = {newest}"))
        .await
        .unwrap();
    let version = Some(newest - 1);
    assert_eq!(db.catalog.schema().await.unwrap(), Schema::Older { version });
}

/// Applies a migration of a later release.
async fn apply_future(db: &Db, changes: &[&str]) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    db.raw(newer).await.unwrap();
    for change in changes {
        db.raw(change).await.unwrap();
    }
}

async fn a_schema_that_only_has_more_is_as_good(db: &Db) {
    let everything = async || {
        effects::a_job_runs_from_probe_to_finish(db).await;
        jobs::cancelling_takes_all_leases(db).await;
        jobs::a_retry_keeps_what_succeeded(db).await;
        leases::a_lost_worker_costs_an_attempt(db).await;
        endings::an_aborted_upload_cancels_its_jobs(db).await;
        db.hints().await;
    };
    // What a server has asked before, it must be able to ask again after the migration.
    everything().await;
    let expansion = [
        "CREATE TABLE futures (id TEXT PRIMARY KEY)",
        "ALTER TABLE tenants ADD COLUMN future TEXT",
        "ALTER TABLE uploads ADD COLUMN future TEXT",
        "ALTER TABLE jobs ADD COLUMN future BIGINT NOT NULL DEFAULT 1",
        "ALTER TABLE tasks ADD COLUMN future TEXT",
        "ALTER TABLE task_edges ADD COLUMN future TEXT",
        "ALTER TABLE job_events ADD COLUMN future TEXT",
        "ALTER TABLE outbox ADD COLUMN future TEXT",
        "ALTER TABLE webhooks ADD COLUMN future TEXT",
    ];
    apply_future(db, &expansion).await;
    let newer = Schema::Newer {
        version: 9999,
        compatible: true,
    };
    assert_eq!(db.catalog.schema().await.unwrap(), newer);
    db.catalog.migrate().await.unwrap();
    everything().await;
}

async fn a_schema_that_lost_something_is_refused(db: &Db) {
    let contraction = ["UPDATE settings SET value = '9999' WHERE name = 'schema.oldest_binary'"];
    apply_future(db, &contraction).await;
    let newer = Schema::Newer {
        version: 9999,
        compatible: false,
    };
    assert_eq!(db.catalog.schema().await.unwrap(), newer);
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
