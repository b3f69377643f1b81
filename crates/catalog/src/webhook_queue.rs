//! Webhooks on their way: claimed for one try at a time by any number of servers, each result fenced by the number of its
//! try. The database's clock judges.

use std::{fmt, time::Duration};

use reelway_domain::{Timestamp, TraceContext, WebhookEvent, WebhookId, WebhookUrl};
use sqlx::any::AnyRow;

use crate::{
    Catalog, Error, Fenced,
    row::Columns,
    sql::{Sql, change_one},
    upload::millis,
    webhook::Common,
};

/// Hosts that a claim can pass over.
const BUSY_HOSTS_MAX: usize = 8;
/// What is no host.
const NO_HOST: &str = "/";

/// A webhook in the hands of who claimed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What is told: the same for every receiver and every try.
    pub message: WebhookId,
    /// The receiver, as it was given.
    pub url: String,
    /// The receiver's host.
    pub host: String,
    /// What it tells of.
    pub event: WebhookEvent,
    /// The JSON to send.
    pub body: String,
    /// Which try this is, from 1.
    pub attempt: i32,
    /// When this try was claimed, by the database's clock.
    pub claimed_at: Timestamp,
    /// The trace of the change that is told.
    pub trace: Option<TraceContext>,
}

/// What comes after a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// Another one, so much later.
    After(Duration),
    /// None: it is kept for a while, to be looked at.
    GiveUp,
}

static TAKE_UNADDRESSED: Sql = Sql::new(
    // MATERIALIZED here and below: evaluated once, or Postgres might lock and take more than the limit.
    "WITH taken AS MATERIALIZED (
        SELECT t.message_id FROM webhooks t WHERE t.url = '' ORDER BY t.message_id LIMIT $1 {skip_locked})
     DELETE FROM webhooks WHERE url = '' AND message_id IN (SELECT message_id FROM taken) RETURNING {webhook}",
);
static CLAIM: Sql = Sql::new(
    "WITH due AS MATERIALIZED (
        SELECT t.message_id, t.url FROM webhooks t
        WHERE t.state = 'pending' AND t.url <> '' AND t.next_at_ms <= {now}
          AND t.host NOT IN ($2, $3, $4, $5, $6, $7, $8, $9)
        ORDER BY t.next_at_ms LIMIT 1 {skip_locked})
     UPDATE webhooks SET attempt = attempt + 1, next_at_ms = {now} + $1, updated_at_ms = {now}
     WHERE (message_id, url) IN (SELECT message_id, url FROM due) RETURNING {webhook}",
);
static END_TRY: Sql = Sql::new(
    "UPDATE webhooks SET state = $4, error = $5, next_at_ms = {now} + $6, updated_at_ms = {now}
     WHERE message_id = $1 AND url = $2 AND attempt = $3 AND state = 'pending'",
);
impl Catalog {
    /// Makes messages due at `receivers`, those of the configuration, at most `count_max` messages. Without any receiver they
    /// are dropped. Gives how many messages that were. Any number of servers may do this at once; a receiver that an upload
    /// names too gets a message once.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn address_webhooks(&self, receivers: &[WebhookUrl], count_max: i64) -> Result<usize, Error> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(TAKE_UNADDRESSED.on(self.dialect))
            .bind(count_max)
            .fetch_all(&mut **tx)
            .await?;
        for row in &rows {
            let common = common(row)?;
            for receiver in receivers {
                self.insert_webhook(&mut tx, &common, receiver.as_str()).await?;
            }
        }
        self.commit(tx).await?;
        Ok(rows.len())
    }

    /// Takes the webhook that is due for the longest time, except those to some `busy_hosts`, for one try. If no result is
    /// recorded, it may be taken again after `lease`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn claim_webhook(&self, lease: Duration, busy_hosts: &[&str]) -> Result<Option<Webhook>, Error> {
        let mut claim = sqlx::query(CLAIM.on(self.dialect)).bind(millis(lease));
        for at in 0..BUSY_HOSTS_MAX {
            claim = claim.bind(*busy_hosts.get(at).unwrap_or(&NO_HOST));
        }
        let row = change_one(claim, &self.write).await?;
        row.as_ref().map(Webhook::try_from).transpose()
    }

    /// Records that the receiver has it.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the receiver gets it once more then.
    pub async fn webhook_delivered(&self, webhook: &Webhook) -> Result<Fenced, Error> {
        self.end_try(webhook, "delivered", None, Duration::ZERO).await
    }

    /// Records why a try failed, and what comes next.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; it is tried again when its lease has run out.
    pub async fn webhook_failed(&self, webhook: &Webhook, error: &str, next: NextTry) -> Result<Fenced, Error> {
        let (state, pause) = match next {
            NextTry::After(pause) => ("pending", pause),
            NextTry::GiveUp => ("given_up", Duration::ZERO),
        };
        self.end_try(webhook, state, Some(error), pause).await
    }

    async fn end_try(
        &self,
        webhook: &Webhook,
        state: &str,
        error: Option<&str>,
        pause: Duration,
    ) -> Result<Fenced, Error> {
        let ended = sqlx::query(END_TRY.on(self.dialect))
            .bind(webhook.message.to_string())
            .bind(&webhook.url)
            .bind(i64::from(webhook.attempt))
            .bind(state)
            .bind(error)
            .bind(millis(pause))
            .execute(&self.write)
            .await?;
        Ok(match ended.rows_affected() {
            0 => Fenced::LeaseLost,
            _ => Fenced::Done,
        })
    }
}

impl TryFrom<&AnyRow> for Webhook {
    type Error = Error;

    fn try_from(row: &AnyRow) -> Result<Self, Error> {
        let c = Columns(row);
        Ok(Self {
            message: c.parsed("message_id")?,
            url: c.text("url")?,
            host: c.text("host")?,
            event: c.parsed("event")?,
            body: c.text("body")?,
            attempt: c.small("attempt")?,
            claimed_at: Timestamp(c.int("updated_at_ms")?),
            // A trace that can't be read is no reason to keep a message back.
            trace: c.text_or_null("trace_context")?.and_then(|text| text.parse().ok()),
        })
    }
}

/// The URL's path may be a secret of the receiver's, and the body is long.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("message", &self.message)
            .field("host", &self.host)
            .field("event", &self.event)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

fn common(row: &AnyRow) -> Result<Common, Error> {
    let c = Columns(row);
    Ok(Common {
        message: c.text("message_id")?,
        tenant: c.text("tenant")?,
        event: c.text("event")?,
        upload: c.text("upload_id")?,
        job: c.text_or_null("job_id")?,
        body: c.text("body")?,
        trace: c.text_or_null("trace_context")?,
    })
}
