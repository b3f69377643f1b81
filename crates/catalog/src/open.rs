//! Opening a catalog, and whether its database is there.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use reelway_domain::TraceContext;
use sqlx::{
    AnyConnection, AnyPool, Connection as _, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use tokio::time::timeout;

use crate::{
    Dialect, Error, QuotaDefaults,
    lock::ProcessLock,
    outbox::FreshHints,
    postgres::{self, ACQUIRE_TIMEOUT},
};

/// Connections that read at the same time from SQLite; writing is done on one.
const SQLITE_READERS_MAX: u32 = 4;
/// How long the database has to answer a ping.
const PING_MAX: Duration = Duration::from_secs(2);

/// The truth about uploads, jobs and tasks. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(crate) write: AnyPool,
    pub(crate) read: AnyPool,
    pub(crate) dialect: Dialect,
    /// What this process has left in the outbox and not published yet.
    pub(crate) fresh: Arc<FreshHints>,
    pub(crate) trace_source: fn() -> Option<TraceContext>,
    /// What tenants may have that have no limits of their own.
    pub(crate) quota: QuotaDefaults,
    _lock: Option<Arc<ProcessLock>>,
}

impl Catalog {
    /// Opens `sqlite:///FILE` (made if it is not there) or `postgres://…` without looking at the schema. A server is not
    /// connected to yet, and may be away: [`Self::ping`] and [`Self::schema`] tell.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process uses the SQLite file, [`Error::Url`] or [`Error::Database`] if the URL can't be
    /// understood.
    pub async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        if let Some(path) = url.strip_prefix("sqlite://") {
            Self::open_sqlite(Path::new(path)).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url)
        } else {
            Err(Error::Url(url.to_owned()))
        }
    }

    /// Opens a catalog as [`Self::open`] does, for a moment and beside the process that runs on it. On SQLite it doesn't take
    /// the process's lock; the database's own locks keep one write from another. So it must not conclude that nobody else is
    /// alive, and not migrate.
    ///
    /// # Errors
    /// Those of [`Self::open`] but for [`Error::Locked`]; [`Error::Absent`] if there is no such SQLite file.
    pub async fn open_beside(url: &str) -> Result<Self, Error> {
        let Some(path) = url.strip_prefix("sqlite://").map(Path::new) else {
            return Self::open(url).await;
        };
        if !path.is_file() {
            return Err(Error::Absent(path.to_owned()));
        }
        sqlx::any::install_default_drivers();
        Self::connect_sqlite(path, None).await
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
        Self::connect_sqlite(path, Some(lock)).await
    }

    async fn connect_sqlite(path: &Path, lock: Option<ProcessLock>) -> Result<Self, Error> {
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
            fresh: Arc::default(),
            trace_source: || None,
            quota: QuotaDefaults::default(),
            _lock: lock.map(Arc::new),
        })
    }

    fn open_postgres(url: &str) -> Result<Self, Error> {
        let pool = postgres::pool(AnyConnectOptions::from_str(url)?);
        Ok(Self {
            write: pool.clone(),
            read: pool,
            dialect: Dialect::Postgres,
            fresh: Arc::default(),
            trace_source: || None,
            quota: QuotaDefaults::default(),
            _lock: None,
        })
    }

    /// The same catalog, whose changes belong to the trace that `source` names at their beginning.
    #[must_use]
    pub fn traced(self, source: fn() -> Option<TraceContext>) -> Self {
        Self {
            trace_source: source,
            ..self
        }
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Asks the database for a trivial answer: is it there?
    ///
    /// # Errors
    /// [`Error::Database`] with the reason if it is not.
    pub async fn ping(&self) -> Result<(), Error> {
        let asked = timeout(PING_MAX, sqlx::query("SELECT 1").execute(&self.read)).await;
        let Err(error) = asked.unwrap_or(Err(sqlx::Error::PoolTimedOut)) else {
            return Ok(());
        };
        let no_connection = matches!(error, sqlx::Error::PoolTimedOut) && self.dialect == Dialect::Postgres;
        // A pool doesn't say why it has no connection; an attempt outside it does.
        if no_connection
            && let options = self.read.connect_options()
            && let Ok(Err(reason)) = timeout(PING_MAX, AnyConnection::connect_with(&options)).await
        {
            return Err(reason.into());
        }
        Err(error.into())
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
