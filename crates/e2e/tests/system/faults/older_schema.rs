//! An upgrade whose servers are there before its schema: they wait for `reelway migrate`, and say so.

use std::time::Duration;

use super::jobs::{Job, SHORT};
use crate::harness::{Process, Shape, System, get, reelway, within_secs};

/// The schema of the first release.
const FIRST: &str = include_str!("../../../../../migrations/0001_initial.sql");
const MIGRATE_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn fault_32_the_schema_is_older() {
    let mut system = System::split(Shape::default()).await;
    for server in system.servers_mut() {
        server.terminate().await;
    }
    back_to_the_first_release(&system);
    for server in system.servers_mut() {
        server.start_again();
    }
    for server in system.servers() {
        let url = format!("{}/readyz", server.admin_url());
        // At first nobody listens there.
        server.answers_probes().await;
        within_secs(30, "a server that says what it waits for", async || {
            let answer = get(&url).await;
            let said = String::from_utf8_lossy(answer.body()).into_owned();
            answer.status() == 503 && said.contains("\"schema\"") && said.contains("reelway migrate")
        })
        .await;
        assert!(server.probe("healthz").await, "a restart would mend nothing");
        assert!(!server.probe("startupz").await, "it has not started");
    }
    let migrate = reelway(["migrate", "--database", &system.database().url()]);
    let ended = Process::spawn(migrate).ended(MIGRATE_MAX).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for server in system.servers() {
        server.ready().await;
    }
    Job::of(&system, SHORT, "fast").await.ends_right(&system).await;
}

/// Leaves what a database of the first release has: its tables, and the note that its one migration was applied.
fn back_to_the_first_release(system: &System) {
    let database = system.database();
    database.execute("CREATE TABLE public.kept AS SELECT * FROM _sqlx_migrations WHERE version = 1");
    let tables = database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'kept'");
    for table in tables.lines() {
        database.execute(&format!("DROP TABLE {table} CASCADE"));
    }
    database.execute(FIRST);
    database.execute("ALTER TABLE kept RENAME TO _sqlx_migrations");
    database.execute("ALTER TABLE _sqlx_migrations ADD PRIMARY KEY (version)");
}
