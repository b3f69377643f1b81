//! The outbox: hints that are committed with the change they tell of, and carried to the bus by any relay.

use std::sync::Arc;

use reelway_domain::Hint;
use sqlx::{Any, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{Catalog, Error, sql::Sql};

static LEAVE: Sql = Sql::new("INSERT INTO outbox (id, message, created_at_ms) VALUES ($1, $2, {now})");
static TAKE: Sql = Sql::new(
    // MATERIALIZED: evaluated once, or Postgres might lock and take more than the limit.
    "WITH taken AS MATERIALIZED (SELECT t.id FROM outbox t ORDER BY t.id LIMIT $1 {skip_locked})
     DELETE FROM outbox WHERE id IN (SELECT id FROM taken) RETURNING message",
);

/// Hints that were taken out. They are gone once [`OutboxBatch::delivered`] is called, and back if it is dropped before.
#[derive(Debug)]
pub struct OutboxBatch {
    tx: Transaction<'static, Any>,
    /// What to publish.
    pub hints: Vec<Hint>,
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
    pub(crate) async fn leave_hint(&self, tx: &mut Transaction<'_, Any>, hint: &Hint) -> Result<(), Error> {
        sqlx::query(LEAVE.on(self.dialect))
            .bind(Uuid::now_v7().to_string())
            .bind(serde_json::to_string(hint)?)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Commits a transaction that may have left hints, and wakes the relay of this process.
    pub(crate) async fn commit(&self, tx: Transaction<'_, Any>) -> Result<(), Error> {
        tx.commit().await?;
        self.outbox_filled.notify_one();
        Ok(())
    }

    /// Is notified after each commit of this process that may have filled the outbox. Other processes' commits are found
    /// by looking from time to time.
    #[must_use]
    pub fn outbox_filled(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_filled)
    }

    /// Takes at most `count_max` hints out. Several relays may do so at once; each gets others.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn take_outbox(&self, count_max: i64) -> Result<OutboxBatch, Error> {
        let mut tx = self.write.begin().await?;
        let rows: Vec<(String,)> = sqlx::query_as(TAKE.on(self.dialect))
            .bind(count_max)
            .fetch_all(&mut *tx)
            .await?;
        let hints = rows
            .iter()
            .filter_map(|(message,)| match serde_json::from_str(message) {
                Ok(hint) => Some(hint),
                // A hint of another version carries no state; dropping it costs at most a scan interval.
                Err(error) => {
                    tracing::warn!(%error, "dropped a hint that can't be read");
                    None
                }
            });
        Ok(OutboxBatch {
            hints: hints.collect(),
            tx,
        })
    }
}
