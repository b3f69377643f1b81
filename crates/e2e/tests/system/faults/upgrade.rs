//! An upgrade that has begun: the schema is newer than this binary.

use super::jobs::{Job, SHORT};
use crate::harness::{Process, Role, Shape, System, reelway};

#[tokio::test(flavor = "multi_thread")]
async fn fault_32_the_schema_is_newer() {
    let mut system = System::split(Shape::default()).await;
    // What a migration of a later release adds, as it stands beside servers of this one.
    system.database().execute(
        "ALTER TABLE uploads ADD COLUMN of_the_future TEXT;
         ALTER TABLE jobs ADD COLUMN of_the_future BIGINT NOT NULL DEFAULT 0;
         CREATE TABLE of_the_future (id TEXT PRIMARY KEY);
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'of the future', TRUE, '\\x00', 0);
         INSERT INTO settings (name, value) VALUES ('schema.oldest_binary', '1')
         ON CONFLICT (name) DO UPDATE SET value = '1'",
    );
    Job::of(&system, SHORT, "fast").await.ends_right(&system).await;
    for server in system.servers_mut() {
        server.terminate().await;
        server.restart().await;
    }
    Job::of(&system, SHORT, "fast").await.ends_right(&system).await;

    system
        .database()
        .execute("UPDATE settings SET value = '9000' WHERE name = 'schema.oldest_binary'");
    for role in [Role::Upload, Role::Worker] {
        let server = system.server_mut(role, 0);
        server.terminate().await;
        server.start_again();
        let ended = server.ended().await;
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(
            ended.err.iter().any(|line| line.contains("newer")),
            "it says why: {ended:#?}"
        );
    }
    let mut migrate = Process::spawn(reelway(["migrate", "--database", &system.database().url()]));
    let ended = migrate.ended(std::time::Duration::from_secs(20)).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
}
