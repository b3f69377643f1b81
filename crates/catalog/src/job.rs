//! Jobs: created with their first tasks, found and listed.

use reelway_domain::{
    Change, JobId, JobState, Ladder, SourceAction, SourceState, Tenant, Timestamp, TraceContext, UploadId, UploadKind,
    UploadState, first_tasks,
};

use crate::{Catalog, Created, Error, Job, RequestId, layout::Epochs, sql::Sql, tx::Tx};

/// A job that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The preset's name; empty for a ladder of the caller's own.
    pub preset: String,
    /// The ladder in full, so that a later release with other presets changes nothing for this job.
    pub ladder: Ladder,
    /// From -[`PRIORITY_MAX`](reelway_domain::limits::PRIORITY_MAX) to it; higher is sooner.
    pub priority: i32,
    /// What becomes of the source when it has succeeded.
    pub source_action: SourceAction,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this upload.
    pub upload: Option<UploadId>,
    /// Only those created at this time or later.
    pub created_min: Option<Timestamp>,
    /// Only those created before this time.
    pub created_max: Option<Timestamp>,
    /// Only those that have not ended.
    pub living_only: bool,
}

static INSERT: Sql = Sql::new(
    "INSERT INTO jobs (id, tenant, upload_id, state, preset, ladder, trace_context, priority, source_action, created_at_ms,
                       updated_at_ms)
     VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, CAST($8 AS TEXT), {now}, {now})",
);
static FIND: Sql = Sql::new("SELECT {job} FROM jobs WHERE tenant = $1 AND id = $2");
static LIST: Sql = Sql::new(
    "SELECT {job} FROM jobs WHERE tenant = $1 AND ($2 = '' OR state = $2) AND ($3 = '' OR upload_id = $3)
       AND created_at_ms >= $4 AND created_at_ms < $5 AND ($6 = '' OR id < $6)
       AND ($7 = 0 OR state IN ('queued', 'running'))
     ORDER BY id DESC LIMIT $8",
);
static LIVING: Sql =
    Sql::new("SELECT id FROM jobs WHERE upload_id = $1 AND state IN ('queued', 'running') ORDER BY id");
static LOCK_LIVING: Sql =
    Sql::new("SELECT id FROM jobs WHERE upload_id = $1 AND state IN ('queued', 'running') ORDER BY id {for_update}");
static KNOWN: Sql = Sql::new("SELECT COUNT(*) FROM jobs WHERE id = $1");

impl Catalog {
    /// Creates a job for an upload of the same tenant; `None` if there is no such upload.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] if the request id was used with another request, [`Error::UploadEnded`] if the upload
    /// came to nothing, [`Error::SourceRemoved`] if its bytes were removed after a job had succeeded.
    pub async fn create_job(
        &self,
        tenant: &Tenant,
        upload: UploadId,
        new: &NewJob,
        request: Option<&RequestId>,
    ) -> Result<Option<Created<Job>>, Error> {
        let mut tx = self.begin().await?;
        if let Some(request) = request
            && let Some(earlier) = self
                .take_request_id(&mut tx, tenant, request, &new.id.to_string())
                .await?
        {
            return Ok(self
                .job_in(&mut tx, tenant, earlier.parse()?)
                .await?
                .map(Created::Before));
        }
        match self
            .lock_upload(&mut tx, tenant, upload)
            .await?
            .map(|u| (u.state, u.kind, u.source_state))
        {
            Some((_, UploadKind::Partial, _)) => return Err(Error::NoFile(upload)),
            Some((UploadState::Complete, _, SourceState::Removed)) => return Err(Error::SourceRemoved(upload)),
            Some((UploadState::Receiving | UploadState::Complete, ..)) => {}
            Some((state, ..)) => return Err(Error::UploadEnded { id: upload, state }),
            None => return Ok(None),
        }
        self.insert_job(&mut tx, tenant, upload, new).await?;
        let job = self.job_in(&mut tx, tenant, new.id).await?;
        self.commit(tx).await?;
        Ok(job.map(Created::New))
    }

    pub(crate) async fn insert_job(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        upload: UploadId,
        new: &NewJob,
    ) -> Result<(), Error> {
        sqlx::query(INSERT.on(self.dialect))
            .bind(new.id.to_string())
            .bind(tenant.as_str())
            .bind(upload.to_string())
            .bind(&new.preset)
            .bind(serde_json::to_string(&new.ladder)?)
            .bind(tx.trace.as_ref().map(TraceContext::as_str))
            .bind(i64::from(new.priority))
            .bind((new.source_action != SourceAction::Keep).then_some(new.source_action.as_str()))
            .execute(&mut ***tx)
            .await?;
        let first = self.insert_tasks(tx, new.id, &first_tasks(), &Epochs::new()).await?;
        self.wake_for_tasks(tx, &first.free).await?;
        let queued = Change::JobState {
            state: JobState::Queued,
            error: None,
        };
        self.append_events(tx, new.id, &[queued]).await
    }

    /// Finds a job of a tenant.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<Job>, Error> {
        let row = sqlx::query(FIND.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(Job::try_from).transpose()
    }

    pub(crate) async fn job_in(&self, tx: &mut Tx, tenant: &Tenant, id: JobId) -> Result<Option<Job>, Error> {
        let row = sqlx::query(FIND.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(&mut ***tx)
            .await?;
        row.as_ref().map(Job::try_from).transpose()
    }

    /// Whether any tenant has this job: what the store holds beside them is a leftover.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn knows_job(&self, id: JobId) -> Result<bool, Error> {
        let (count,): (i64,) = sqlx::query_as(KNOWN.on(self.dialect))
            .bind(id.to_string())
            .fetch_one(&self.read)
            .await?;
        Ok(count > 0)
    }

    /// Lists jobs, newest first, those before `before`, at most `count_max`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn list_jobs(
        &self,
        tenant: &Tenant,
        filter: &JobFilter,
        before: Option<JobId>,
        count_max: i64,
    ) -> Result<Vec<Job>, Error> {
        let rows = sqlx::query(LIST.on(self.dialect))
            .bind(tenant.as_str())
            .bind(filter.state.map_or("", JobState::as_str))
            .bind(filter.upload.map_or_else(String::new, |id| id.to_string()))
            .bind(filter.created_min.map_or(0, |at| at.0))
            .bind(filter.created_max.map_or(i64::MAX, |at| at.0))
            .bind(before.map_or_else(String::new, |id| id.to_string()))
            .bind(i64::from(filter.living_only))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(Job::try_from).collect()
    }

    pub(crate) async fn living_jobs_of(&self, tx: &mut Tx, upload: UploadId) -> Result<Vec<JobId>, Error> {
        job_ids(tx, LIVING.on(self.dialect), upload).await
    }

    /// The living jobs of an upload, locked. Nothing may be done to their tasks in the same transaction afterwards.
    pub(crate) async fn lock_living_jobs_of(&self, tx: &mut Tx, upload: UploadId) -> Result<Vec<JobId>, Error> {
        job_ids(tx, LOCK_LIVING.on(self.dialect), upload).await
    }
}

async fn job_ids(tx: &mut Tx, sql: &'static str, upload: UploadId) -> Result<Vec<JobId>, Error> {
    let ids: Vec<(String,)> = sqlx::query_as(sql)
        .bind(upload.to_string())
        .fetch_all(&mut ***tx)
        .await?;
    ids.into_iter().map(|(id,)| Ok(id.parse()?)).collect()
}
