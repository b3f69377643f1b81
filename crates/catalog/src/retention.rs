//! What is removed by age, in small steps that any number of servers may take at once.

use std::time::Duration;

use crate::{Catalog, Error, sql::Sql, upload::millis};

static FORGET_REQUESTS: Sql = Sql::new(
    "WITH old AS MATERIALIZED (
        SELECT t.tenant, t.method, t.request_id FROM request_ids t
        WHERE t.created_at_ms < {now} - $1 LIMIT $2 {skip_locked})
     DELETE FROM request_ids WHERE (tenant, method, request_id) IN (SELECT tenant, method, request_id FROM old)",
);
static FORGET_WEBHOOKS: Sql = Sql::new(
    "WITH old AS MATERIALIZED (
        SELECT t.message_id, t.url FROM webhooks t
        WHERE t.state <> 'pending' AND t.updated_at_ms < {now} - $1 LIMIT $2 {skip_locked})
     DELETE FROM webhooks WHERE (message_id, url) IN (SELECT message_id, url FROM old)",
);

impl Catalog {
    /// Removes request ids that are older than `age_max`, at most `count_max`; a call that repeats one after this is a new
    /// call. Gives how many.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn forget_requests(&self, age_max: Duration, count_max: i64) -> Result<u64, Error> {
        self.forget(&FORGET_REQUESTS, age_max, count_max).await
    }

    /// Removes webhooks that were delivered or given up more than `age_max` ago, at most `count_max`. Gives how many.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn forget_webhooks(&self, age_max: Duration, count_max: i64) -> Result<u64, Error> {
        self.forget(&FORGET_WEBHOOKS, age_max, count_max).await
    }

    async fn forget(&self, sql: &'static Sql, age_max: Duration, count_max: i64) -> Result<u64, Error> {
        let forgotten = sqlx::query(sql.on(self.dialect))
            .bind(millis(age_max))
            .bind(count_max)
            .execute(&self.write)
            .await?;
        Ok(forgotten.rows_affected())
    }
}
