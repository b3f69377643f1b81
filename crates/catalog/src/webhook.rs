//! Webhooks, as they are left: with the change that they tell of, in its transaction, so that none is lost (invariant 6).
//!
//! What becomes of them afterwards is in `webhook_queue`.

use std::time::{Duration, UNIX_EPOCH};

use reelway_domain::{Failure, JobId, Reason, UploadId, WebhookEvent, WebhookId, WebhookUrl};
use serde::Serialize;

use crate::{Catalog, Error, sql::Sql, tx::Tx};

/// What there is to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told<'a> {
    UploadCompleted(UploadId),
    JobSucceeded(JobId),
    JobFailed(JobId, &'a Failure),
}

impl Told<'_> {
    fn event(self) -> WebhookEvent {
        match self {
            Self::UploadCompleted(_) => WebhookEvent::UploadCompleted,
            Self::JobSucceeded(_) => WebhookEvent::JobSucceeded,
            Self::JobFailed(..) => WebhookEvent::JobFailed,
        }
    }

    fn job(self) -> Option<JobId> {
        match self {
            Self::UploadCompleted(_) => None,
            Self::JobSucceeded(job) | Self::JobFailed(job, _) => Some(job),
        }
    }
}

static OF_UPLOAD: Sql =
    Sql::new("SELECT tenant, id, file_name, webhook_url, completed_at_ms FROM uploads WHERE id = $1");
static OF_JOB: Sql = Sql::new(
    "SELECT u.tenant, u.id, u.file_name, u.webhook_url, j.finished_at_ms
     FROM jobs j JOIN uploads u ON u.id = j.upload_id WHERE j.id = $1",
);
static INSERT: Sql = Sql::new(
    "INSERT INTO webhooks (message_id, url, host, tenant, event, upload_id, job_id, body, state, next_at_ms,
                           trace_context, created_at_ms, updated_at_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', {now}, $9, {now}, {now}) ON CONFLICT DO NOTHING",
);

/// The URL of a row for the receivers of the configuration.
pub(crate) const CONFIGURED: &str = "";

/// The upload that a webhook is about.
struct Subject {
    tenant: String,
    upload: String,
    file_name: String,
    webhook_url: Option<String>,
    /// When it happened, by the database's clock.
    at_ms: Option<i64>,
}

/// What all rows of a message have in common.
pub(crate) struct Common {
    pub(crate) message: String,
    pub(crate) tenant: String,
    pub(crate) event: String,
    pub(crate) upload: String,
    pub(crate) job: Option<String>,
    pub(crate) body: String,
    pub(crate) trace: Option<String>,
}

/// A message as Standard Webhooks advises: thin. Receivers ask the service for what they want to know beyond.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    event: WebhookEvent,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    upload_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    file_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Trouble<'a>>,
}

#[derive(Serialize)]
struct Trouble<'a> {
    reason: Reason,
    message: &'a str,
}

impl Catalog {
    /// Leaves a webhook for the receivers of the configuration, and one for the upload's own. Call it after the change and
    /// before its events, which lock the tenant.
    pub(crate) async fn leave_webhook(&self, tx: &mut Tx, told: Told<'_>) -> Result<(), Error> {
        let subject = self.subject(tx, told).await?;
        let common = Common {
            message: WebhookId::new().to_string(),
            tenant: subject.tenant.clone(),
            event: told.event().to_string(),
            upload: subject.upload.clone(),
            job: told.job().map(|job| job.to_string()),
            body: serde_json::to_string(&message_of(&subject, told))?,
            trace: tx.trace.as_ref().map(ToString::to_string),
        };
        for url in std::iter::once(CONFIGURED).chain(subject.webhook_url.as_deref()) {
            self.insert_webhook(tx, &common, url).await?;
        }
        Ok(())
    }

    /// Makes one message due at one receiver, which gets it once however often it is named.
    pub(crate) async fn insert_webhook(&self, tx: &mut Tx, common: &Common, url: &str) -> Result<(), Error> {
        sqlx::query(INSERT.on(self.dialect))
            .bind(&common.message)
            .bind(url)
            .bind(host_of(url))
            .bind(&common.tenant)
            .bind(&common.event)
            .bind(&common.upload)
            .bind(common.job.as_deref())
            .bind(&common.body)
            .bind(common.trace.as_deref())
            .execute(&mut ***tx)
            .await?;
        Ok(())
    }

    async fn subject(&self, tx: &mut Tx, told: Told<'_>) -> Result<Subject, Error> {
        let (sql, id) = match told {
            Told::UploadCompleted(upload) => (&OF_UPLOAD, upload.to_string()),
            Told::JobSucceeded(job) | Told::JobFailed(job, _) => (&OF_JOB, job.to_string()),
        };
        let (tenant, upload, file_name, webhook_url, at_ms) = sqlx::query_as(sql.on(self.dialect))
            .bind(id)
            .fetch_one(&mut ***tx)
            .await?;
        Ok(Subject {
            tenant,
            upload,
            file_name,
            webhook_url,
            at_ms,
        })
    }
}

fn message_of<'a>(subject: &'a Subject, told: Told<'a>) -> Message<'a> {
    let at = Duration::from_millis(subject.at_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0));
    let error = match told {
        Told::JobFailed(_, failure) => Some(Trouble {
            reason: failure.reason,
            message: &failure.message,
        }),
        Told::UploadCompleted(_) | Told::JobSucceeded(_) => None,
    };
    Message {
        event: told.event(),
        timestamp: humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string(),
        data: Data {
            upload_id: &subject.upload,
            job_id: told.job(),
            file_name: &subject.file_name,
            error,
        },
    }
}

/// Those who deliver take turns between hosts. A URL that can't be read has none, and is given up when it is its turn.
fn host_of(url: &str) -> String {
    url.parse::<WebhookUrl>()
        .map_or_else(|_| String::new(), |url| url.host().to_owned())
}
