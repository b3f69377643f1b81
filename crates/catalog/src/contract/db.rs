//! A database of its own for each test.

use sqlx::{AnyConnection, Connection as _, Executor as _};
use tempfile::TempDir;
use uuid::Uuid;

use crate::Catalog;

/// The variable that names a Postgres server where the tests may create databases.
const SERVER_VARIABLE: &str = "REELWAY_TEST_POSTGRES";

/// A migrated catalog. On Postgres a test that fails leaves its database behind, to be looked at.
pub(super) struct Db {
    pub(super) catalog: Catalog,
    place: Place,
}

enum Place {
    File(#[expect(dead_code, reason = "removed when it is dropped")] TempDir),
    Server { url: String, database: String },
}

impl Db {
    pub(super) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/catalog.db", dir.path().display());
        Self::open(&url, Place::File(dir)).await
    }

    pub(super) async fn postgres() -> Self {
        let Ok(url) = std::env::var(SERVER_VARIABLE) else {
            panic!("{SERVER_VARIABLE} is not set: run scripts/test, or name a Postgres where databases may be created");
        };
        let database = format!("reelway_test_{}", Uuid::now_v7().simple());
        administer(&url, &format!("CREATE DATABASE {database}")).await;
        let (server, _) = url.rsplit_once('/').expect("a database URL ends with /DATABASE");
        let place = Place::Server {
            url: url.clone(),
            database: database.clone(),
        };
        Self::open(&format!("{server}/{database}"), place).await
    }

    async fn open(url: &str, place: Place) -> Self {
        let catalog = Catalog::open(url).await.unwrap();
        catalog.migrate().await.unwrap();
        Self { catalog, place }
    }

    /// Takes everything out, also the schema.
    pub(super) async fn empty(&self) {
        const TABLES: [&str; 17] = [
            "webhooks",
            "request_ids",
            "outbox",
            "job_events",
            "task_edges",
            "tasks",
            "jobs",
            "upload_files",
            "direct_parts",
            "rests",
            "parts",
            "upload_joins",
            "uploads",
            "api_keys",
            "tenants",
            "settings",
            "_sqlx_migrations",
        ];
        for table in TABLES {
            self.raw(&format!("DROP TABLE {table}")).await.unwrap();
        }
    }

    /// Removes the database, after the test has passed.
    pub(super) async fn remove(self) {
        self.catalog.close().await;
        if let Place::Server { url, database } = &self.place {
            administer(url, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
        }
    }

    /// Runs a statement as it is. Gives how many rows it changed.
    pub(super) async fn raw(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let done = self.catalog.write.execute(sqlx::AssertSqlSafe(sql.to_owned())).await?;
        Ok(done.rows_affected())
    }

    /// The only number that a query gives.
    pub(super) async fn number(&self, sql: &str) -> i64 {
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned()));
        let (number,): (i64,) = query.fetch_one(&self.catalog.read).await.unwrap();
        number
    }

    /// How many rows of a table there are that a condition holds for.
    pub(super) async fn count(&self, rows: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {rows}")).await
    }
}

async fn administer(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut server = AnyConnection::connect(url).await.unwrap();
    server.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
    server.close().await.unwrap();
}
