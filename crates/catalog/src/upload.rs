//! Creating and finding uploads.

use std::{collections::BTreeMap, time::Duration};

use reelway_domain::{Hint, Tenant, TraceContext, UploadId, UploadKind, UploadState, WebhookUrl};
use sqlx::Any;

use crate::{Catalog, Created, Error, NewJob, RequestId, Upload, quota::Usage, sql::Sql, tx::Tx};

/// An upload that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUpload {
    /// Its id. The caller makes it, because the bytes' place in the store is named after it.
    pub id: UploadId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The length in bytes, if it is known. An upload of length 0 is completed by its writer, like any other.
    pub size: Option<i64>,
    /// The file's name, for display.
    pub file_name: String,
    /// The media type.
    pub content_type: String,
    /// The caller's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// The digest to verify.
    pub expected_sha256: Option<[u8; 32]>,
    /// How long to wait for more bytes.
    pub expiry: Duration,
    /// The job to create with it.
    pub job: Option<NewJob>,
    /// Who is told what becomes of it, beside the endpoints of the configuration.
    pub webhook_url: Option<WebhookUrl>,
    /// A text of the client's own.
    pub client_state: String,
    /// What it is for.
    pub kind: UploadKind,
    /// What it is put together from, in this order; empty unless it is joined. Its length is theirs then.
    pub parts: Vec<UploadId>,
    /// What makes the call repeatable.
    pub request: Option<RequestId>,
}

static INSERT: Sql = Sql::new(
    "INSERT INTO uploads (id, tenant, state, file_name, content_type, metadata, size_bytes, expected_sha256, job_id,
                          webhook_url, client_state, kind, trace_context, created_at_ms, updated_at_ms, expires_at_ms, quota_bytes)
     VALUES ($1, $2, 'receiving', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, {now}, {now}, {now} + $13, $14)",
);
static FIND: Sql = Sql::new("SELECT {upload} FROM uploads WHERE tenant = $1 AND id = $2");
static LOCK: Sql = Sql::new("SELECT {upload} FROM uploads WHERE tenant = $1 AND id = $2 {for_update}");
static LIST: Sql = Sql::new(
    "SELECT {upload} FROM uploads WHERE tenant = $1 AND ($2 = '' OR state = $2) AND ($3 = '' OR id < $3)
     ORDER BY id DESC LIMIT $4",
);

impl Catalog {
    /// Creates an upload and its job in one transaction.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] if the request id was used with another request; [`Error::Quota`] if the tenant may not
    /// have it; [`Error::PartUnusable`] and
    /// [`Error::JoinedTooLong`] if it can't be put together from its parts.
    pub async fn create_upload(&self, new: &NewUpload) -> Result<Created<Upload>, Error> {
        let mut tx = self.begin().await?;
        self.ensure_tenant(&mut tx, &new.tenant).await?;
        if let Some(request) = &new.request
            && let Some(earlier) = self
                .take_request_id(&mut tx, &new.tenant, request, &new.id.to_string())
                .await?
        {
            let upload = self.upload_in(&mut tx, &new.tenant, earlier.parse()?).await?;
            let gone = || Error::Corrupt(format!("request id {} names no upload", request.id));
            return Ok(Created::Before(upload.ok_or_else(gone)?));
        }
        let (size, reserved) = match new.kind {
            // When it is complete, it takes over what its parts hold.
            UploadKind::Joined => {
                let taken = self.take_parts(&mut tx, new).await?;
                (taken.size, taken.beyond_bytes)
            }
            UploadKind::Whole | UploadKind::Partial => (new.size, new.size.unwrap_or(0)),
        };
        sqlx::query(INSERT.on(self.dialect))
            .bind(new.id.to_string())
            .bind(new.tenant.as_str())
            .bind(&new.file_name)
            .bind(&new.content_type)
            .bind(serde_json::to_string(&new.metadata)?)
            .bind(size)
            .bind(new.expected_sha256.map(|digest| digest.to_vec()))
            .bind(new.job.as_ref().map(|job| job.id.to_string()))
            .bind(new.webhook_url.as_ref().map(WebhookUrl::as_str))
            .bind(&new.client_state)
            .bind(new.kind.as_str())
            .bind(tx.trace.as_ref().map(TraceContext::as_str))
            .bind(millis(new.expiry))
            .bind(reserved)
            .execute(&mut **tx)
            .await?;
        tx.account(&new.tenant, Usage::opened(reserved));
        if new.kind == UploadKind::Joined {
            self.insert_parts(&mut tx, new).await?;
            tx.leave(Hint::Upload { upload: new.id });
        }
        if let Some(job) = &new.job {
            self.insert_job(&mut tx, &new.tenant, new.id, job).await?;
        }
        let upload = self.upload_in(&mut tx, &new.tenant, new.id).await?;
        self.commit(tx).await?;
        let vanished = || Error::Corrupt("an upload vanished while it was created".into());
        Ok(Created::New(upload.ok_or_else(vanished)?))
    }

    /// Finds an upload of a tenant.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn upload(&self, tenant: &Tenant, id: UploadId) -> Result<Option<Upload>, Error> {
        let row = find(&FIND, self, tenant, id).fetch_optional(&self.read).await?;
        row.as_ref().map(Upload::try_from).transpose()
    }

    pub(crate) async fn upload_in(&self, tx: &mut Tx, tenant: &Tenant, id: UploadId) -> Result<Option<Upload>, Error> {
        let row = find(&FIND, self, tenant, id).fetch_optional(&mut ***tx).await?;
        row.as_ref().map(Upload::try_from).transpose()
    }

    /// Finds an upload and keeps it from ending until the transaction does.
    pub(crate) async fn lock_upload(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        id: UploadId,
    ) -> Result<Option<Upload>, Error> {
        let row = find(&LOCK, self, tenant, id).fetch_optional(&mut ***tx).await?;
        row.as_ref().map(Upload::try_from).transpose()
    }

    /// Lists uploads, newest first, those created before `before`, at most `count_max`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn list_uploads(
        &self,
        tenant: &Tenant,
        state: Option<UploadState>,
        before: Option<UploadId>,
        count_max: i64,
    ) -> Result<Vec<Upload>, Error> {
        let rows = sqlx::query(LIST.on(self.dialect))
            .bind(tenant.as_str())
            .bind(state.map_or("", UploadState::as_str))
            .bind(before.map_or_else(String::new, |id| id.to_string()))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(Upload::try_from).collect()
    }
}

fn find(
    sql: &'static Sql,
    catalog: &Catalog,
    tenant: &Tenant,
    id: UploadId,
) -> sqlx::query::Query<'static, Any, <Any as sqlx::Database>::Arguments> {
    sqlx::query(sql.on(catalog.dialect))
        .bind(tenant.as_str().to_owned())
        .bind(id.to_string())
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
