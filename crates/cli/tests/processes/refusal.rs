//! What doesn't belong together is refused by name.

use crate::node::{Node, Shared};

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_belongs_to_one_store() {
    let shared = Shared::migrated().await;
    let mut first = shared.serve("upload", "upload", &[]);
    first.ready().await;

    let (database, redis) = (shared.postgres.database().url(), shared.redis.url());
    let other = format!("file://{}/other?shared=true", shared.dir.path().display());
    let options = [
        "--role",
        "worker",
        "--database",
        &database,
        "--redis",
        &redis,
        "--store",
        &other,
    ];
    let mut second = Node::start(&shared.dir.path().join("worker"), &options);
    assert_eq!(second.ended().await.code(), Some(1));
    let words = second.last_words().await;
    assert!(words.contains("STORE_MISMATCH") && words.contains("/other"), "{words}");
    first.health_says(true, "\"ready\":true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_unless_it_only_adds() {
    let shared = Shared::migrated().await;
    let database = shared.postgres.database();
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    );
    let mut beside_newer = shared.serve("jobs", "jobs", &[]);
    beside_newer.ready().await;

    database.execute("UPDATE settings SET value = '9999' WHERE name = 'schema.oldest_binary'");
    let mut node = shared.serve("upload", "upload", &[]);
    assert_eq!(node.ended().await.code(), Some(1));
    let words = node.last_words().await;
    assert!(words.contains("9999"), "{words}");
}
