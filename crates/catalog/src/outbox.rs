//! The outbox: hints that are committed with the change they tell of.
//!
//! The process that committed them publishes them at once and then forgets them ([`Catalog::next_fresh`],
//! [`Catalog::forget_hints`]). What a process left that died in between is found by any relay
//! ([`Catalog::take_outbox`]).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reelway_domain::Notice;
use serde::Serialize;
use sqlx::{Any, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    Catalog, Dialect, Error,
    sql::{Sql, list},
    tx::Tx,
    upload::millis,
};

/// Hints of this process that may wait for its courier; further ones are left to the relays.
const FRESH_MAX: usize = 4096;

static WRITE: Sql = Sql::new(
    "INSERT INTO outbox (id, message, created_at_ms)
     SELECT v.value ->> 'id', v.value ->> 'message', {now} FROM {rows:$1} AS v",
);
static FORGET: Sql = Sql::new("DELETE FROM outbox WHERE id {in:$1}");
static TAKE: Sql = Sql::new(
    // MATERIALIZED: evaluated once, or Postgres might lock and take more than the limit.
    "WITH taken AS MATERIALIZED (
        SELECT t.id FROM outbox t WHERE t.created_at_ms <= {now} - $2 ORDER BY t.id LIMIT $1 {skip_locked})
     DELETE FROM outbox WHERE id IN (SELECT id FROM taken) RETURNING message",
);
static FORGET_OLD: Sql = Sql::new("DELETE FROM outbox WHERE created_at_ms < {now} - $1");

/// A hint that this process has just committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Its row in the outbox.
    pub id: Uuid,
    /// What to publish.
    pub notice: Notice,
}

/// Hints on their way from commits to the courier of this process.
#[derive(Debug, Default)]
pub(crate) struct FreshHints {
    waiting: Mutex<Vec<Fresh>>,
    added: Notify,
}

impl FreshHints {
    pub(crate) fn add(&self, fresh: Vec<Fresh>) {
        if fresh.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FRESH_MAX.saturating_sub(waiting.len());
        waiting.extend(fresh.into_iter().take(room));
        drop(waiting);
        self.added.notify_one();
    }

    fn take(&self) -> Vec<Fresh> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hints that were taken out. They are gone once [`OutboxBatch::delivered`] is called, and back if it is dropped before.
#[derive(Debug)]
pub struct OutboxBatch {
    tx: Transaction<'static, Any>,
    /// What to publish.
    pub notices: Vec<Notice>,
}

impl OutboxBatch {
    /// Forgets the hints for good. A crash before this repeats them, which is harmless.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the hints come again then.
    pub async fn delivered(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }
}

impl Catalog {
    /// Writes the hints that a change has gathered.
    pub(crate) async fn write_hints(&self, tx: &mut Tx) -> Result<Vec<Fresh>, Error> {
        /// A row of the outbox.
        #[derive(Serialize)]
        struct Message {
            id: String,
            message: String,
        }
        let mut fresh = Vec::with_capacity(tx.notices.len());
        let mut messages = Vec::with_capacity(tx.notices.len());
        for mut notice in tx.notices.drain(..) {
            notice.trace = notice.trace.or_else(|| tx.job_trace.clone());
            let id = Uuid::now_v7();
            messages.push(Message {
                id: id.to_string(),
                message: serde_json::to_string(&notice)?,
            });
            fresh.push(Fresh { id, notice });
        }
        if !messages.is_empty() {
            sqlx::query(WRITE.on(self.dialect))
                .bind(list(messages)?)
                .execute(&mut ***tx)
                .await?;
        }
        Ok(fresh)
    }

    /// Waits for hints that this process committed, and gives them in the order of their commits. One task of a process
    /// calls this, publishes them, and calls [`Self::forget_hints`].
    pub async fn next_fresh(&self) -> Vec<Fresh> {
        loop {
            let fresh = self.fresh.take();
            if !fresh.is_empty() {
                return fresh;
            }
            self.fresh.added.notified().await;
        }
    }

    /// Forgets hints that were published. If this is not called, or fails, a relay publishes them once more.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn forget_hints(&self, hints: &[Fresh]) -> Result<(), Error> {
        if hints.is_empty() {
            return Ok(());
        }
        let mut tx = self.write.begin().await?;
        if self.dialect == Dialect::Postgres {
            // A row that comes back after a crash is published once more: not worth a wait for the disk.
            sqlx::query("SET LOCAL synchronous_commit = off")
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query(FORGET.on(self.dialect))
            .bind(list(hints.iter().map(|hint| hint.id.to_string()))?)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Takes at most `count_max` hints out that are at least `age_min` old. Several relays may do so at once; each gets
    /// others.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn take_outbox(&self, count_max: i64, age_min: Duration) -> Result<OutboxBatch, Error> {
        let mut tx = self.write.begin().await?;
        let rows: Vec<(String,)> = sqlx::query_as(TAKE.on(self.dialect))
            .bind(count_max)
            .bind(millis(age_min))
            .fetch_all(&mut *tx)
            .await?;
        let notices = rows
            .iter()
            .filter_map(|(message,)| match serde_json::from_str(message) {
                Ok(notice) => Some(notice),
                // A hint of another version carries no state; dropping it costs at most a scan interval.
                Err(error) => {
                    tracing::warn!(%error, "dropped a hint that can't be read");
                    None
                }
            });
        Ok(OutboxBatch {
            notices: notices.collect(),
            tx,
        })
    }

    /// Forgets hints that are older than `age_max`: while the bus was away, scanning has long found what they tell of. Gives
    /// how many.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn forget_old_hints(&self, age_max: Duration) -> Result<u64, Error> {
        let forgotten = sqlx::query(FORGET_OLD.on(self.dialect))
            .bind(millis(age_max))
            .execute(&self.write)
            .await?;
        Ok(forgotten.rows_affected())
    }
}
