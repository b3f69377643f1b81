//! The connections to Postgres: what each is told when it is made, and when one is no good any more.
//!
//! The server may be away at any time, also at first: connections are made when they are needed, and whoever can't have one
//! in time is told to try again later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    AnyConnection, AnyPool, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    pool::PoolConnectionMetadata,
};
use tokio::time::timeout;

/// Connections of one process.
const CONNECTIONS_MAX: u32 = 16;
/// How long a caller waits for a connection, whether others have all of them or the server doesn't answer.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is checked before it is used; under load, one is checked so often.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A check that takes longer has failed.
const CHECK_MAX: Duration = Duration::from_secs(1);

/// What every connection is told, whatever the server's own settings are. No statement of a server takes long, and none
/// waits long for a lock; a transaction that was forgotten is ended before it holds up others. Commits are on the disk before they are
/// answered (invariant 1).
const SESSION: &str = "SET application_name = 'reelway'; SET statement_timeout = '15s'; SET lock_timeout = '5s'; \
                       SET idle_in_transaction_session_timeout = '15s'; SET synchronous_commit = on";
/// The same for the one connection that migrates: it waits for others that migrate, and for its locks.
pub(crate) const MIGRATING_SESSION: &str = "SET application_name = 'reelway migrate'; SET statement_timeout = 0; \
                                            SET lock_timeout = 0; SET synchronous_commit = on";

/// Makes a pool that doesn't connect yet.
pub(crate) fn pool(options: AnyConnectOptions) -> AnyPool {
    let before = Arc::new(Doubts::new());
    let after = Arc::clone(&before);
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
        .before_acquire(move |connection, meta| {
            let doubts = Arc::clone(&before);
            Box::pin(async move { Ok(doubts.is_good(connection, &meta, meta.idle_for >= CHECK_EVERY).await) })
        })
        .after_release(move |connection, meta| {
            let doubts = Arc::clone(&after);
            Box::pin(async move { Ok(doubts.is_good(connection, &meta, doubts.is_check_due()).await) })
        })
        .connect_lazy_with(options)
}

/// What is known about a pool's connections. After a failover they lead to a server that only reads: then all that were made
/// before are closed, and new ones find the server that writes.
#[derive(Debug)]
struct Doubts {
    began: Instant,
    /// When a connection was last checked, in milliseconds after `began`.
    checked_ms: AtomicU64,
    /// Connections that were made before this are no good, in milliseconds after `began`.
    good_from_ms: AtomicU64,
}

impl Doubts {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            checked_ms: AtomicU64::new(0),
            good_from_ms: AtomicU64::new(0),
        }
    }

    fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn is_check_due(&self) -> bool {
        self.now_ms().saturating_sub(self.checked_ms.load(Ordering::Relaxed)) >= millis(CHECK_EVERY)
    }

    /// Whether a connection may be used again. One that may not is closed by the pool.
    async fn is_good(&self, connection: &mut AnyConnection, meta: &PoolConnectionMetadata, check: bool) -> bool {
        let made_ms = self.now_ms().saturating_sub(millis(meta.age));
        if made_ms < self.good_from_ms.load(Ordering::Relaxed) {
            return false;
        }
        if !check {
            return true;
        }
        self.checked_ms.store(self.now_ms(), Ordering::Relaxed);
        match timeout(CHECK_MAX, is_read_only(connection)).await {
            Ok(Ok(false)) => true,
            Ok(Ok(true)) => {
                tracing::warn!("the database only reads; connecting anew");
                self.good_from_ms.store(self.now_ms(), Ordering::Relaxed);
                false
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection to the database is broken");
                false
            }
            Err(_) => {
                tracing::debug!("a connection to the database doesn't answer");
                false
            }
        }
    }
}

async fn is_read_only(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let (read_only,): (String,) = sqlx::query_as("SELECT current_setting('transaction_read_only')")
        .fetch_one(connection)
        .await?;
    Ok(read_only == "on")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
