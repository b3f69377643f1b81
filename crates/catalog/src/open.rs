//! Opening a catalog: which database, how many connections, and that the schema fits.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    AnyPool, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::MigrateError,
};
use tokio::sync::Notify;

use crate::{Dialect, Error, lock::ProcessLock};

/// Connections that read at the same time from SQLite; writing is done on one.
const SQLITE_READERS_MAX: u32 = 4;
/// Connections to Postgres of one process.
const POSTGRES_CONNECTIONS_MAX: u32 = 16;
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// The truth about uploads, jobs and tasks. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(crate) write: AnyPool,
    pub(crate) read: AnyPool,
    pub(crate) dialect: Dialect,
    /// Woken after each commit that left something in the outbox.
    pub(crate) outbox_filled: Arc<Notify>,
    _lock: Option<Arc<ProcessLock>>,
}

impl Catalog {
    /// Opens `sqlite:///FILE` (made if it is not there) or `postgres://…` without looking at the schema.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process uses the SQLite file, [`Error::Database`] if Postgres doesn't answer.
    pub async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        if let Some(path) = url.strip_prefix("sqlite://") {
            Self::open_sqlite(Path::new(path)).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await
        } else {
            Err(Error::Url(url.to_owned()))
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, Error> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            let prepare = |source| Error::Prepare {
                path: PathBuf::from(parent),
                source,
            };
            std::fs::create_dir_all(parent).map_err(prepare)?;
        }
        let lock = ProcessLock::take(path)?;
        let options = AnyConnectOptions::from_str(&sqlite_url(path))?;
        let pool = |connections_max: u32| {
            AnyPoolOptions::new()
                .max_connections(connections_max)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // The one writer must never be recycled in the middle of a busy time.
                .idle_timeout(None)
                .max_lifetime(None)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        // synchronous=FULL: a commit that was answered survives a power cut (invariant 1).
                        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                                       PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000";
                        connection.execute(pragmas).await.map(drop)
                    })
                })
        };
        Ok(Self {
            write: pool(1).connect_with(options.clone()).await?,
            read: pool(SQLITE_READERS_MAX).connect_with(options).await?,
            dialect: Dialect::Sqlite,
            outbox_filled: Arc::default(),
            _lock: Some(Arc::new(lock)),
        })
    }

    async fn open_postgres(url: &str) -> Result<Self, Error> {
        let options = AnyConnectOptions::from_str(url)?;
        let pool = AnyPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        Ok(Self {
            write: pool.clone(),
            read: pool,
            dialect: Dialect::Postgres,
            outbox_filled: Arc::default(),
            _lock: None,
        })
    }

    /// Brings the schema up to this binary's.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] if the database has a migration that this binary does not know.
    pub async fn migrate(&self) -> Result<(), Error> {
        MIGRATIONS.run(&self.write).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => Error::NewerSchema(version),
            other => Error::Migrate(other),
        })
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Asks the database for a trivial answer: is it there?
    ///
    /// # Errors
    /// [`Error::Database`] if it is not.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    /// Closes all connections, after what is under way.
    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

/// The driver's URL of a file: it takes `%`, `?` and `#` of a path for its own.
fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => url.push_str("%25"),
            '?' => url.push_str("%3F"),
            '#' => url.push_str("%23"),
            other => url.push(other),
        }
    }
    url + "?mode=rwc"
}
