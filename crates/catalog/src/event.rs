//! Events: numbered under the locks of their job and tenant, in the transaction of the change that they tell of
//! (invariants 6 and 10).

use reelway_domain::{Change, EventSeq, Hint, JobEvent, JobId, Tenant};
use sqlx::{Any, Transaction};

use crate::{Catalog, Error, row, sql::Sql};

static NEXT_JOB_SEQ: Sql = Sql::new(
    "UPDATE jobs SET event_seq = event_seq + 1, updated_at_ms = {now} WHERE id = $1
     RETURNING event_seq, tenant, upload_id",
);
static NEXT_TENANT_SEQ: Sql =
    Sql::new("UPDATE tenants SET event_seq = event_seq + 1 WHERE id = $1 RETURNING event_seq");
static INSERT: Sql = Sql::new(
    "INSERT INTO job_events (job_id, seq, tenant, tenant_seq, upload_id, change, created_at_ms)
     VALUES ($1, $2, $3, $4, $5, $6, {now})",
);
static OF_JOB: Sql =
    Sql::new("SELECT * FROM job_events WHERE tenant = $1 AND job_id = $2 AND seq > $3 ORDER BY seq LIMIT $4");
static OF_TENANT: Sql =
    Sql::new("SELECT * FROM job_events WHERE tenant = $1 AND tenant_seq > $2 ORDER BY tenant_seq LIMIT $3");
static TENANT_SEQ: Sql = Sql::new("SELECT event_seq FROM tenants WHERE id = $1");

impl Catalog {
    /// Appends events to a job's record and leaves the hint for its watchers. Call it last in a transaction: from here on
    /// the tenant's row is locked.
    pub(crate) async fn append_events(
        &self,
        tx: &mut Transaction<'_, Any>,
        job: JobId,
        changes: &[Change],
    ) -> Result<(), Error> {
        for change in changes {
            let (seq, tenant, upload): (i64, String, String) = sqlx::query_as(NEXT_JOB_SEQ.on(self.dialect))
                .bind(job.to_string())
                .fetch_one(&mut **tx)
                .await?;
            let (tenant_seq,): (i64,) = sqlx::query_as(NEXT_TENANT_SEQ.on(self.dialect))
                .bind(&tenant)
                .fetch_one(&mut **tx)
                .await?;
            sqlx::query(INSERT.on(self.dialect))
                .bind(job.to_string())
                .bind(seq)
                .bind(tenant)
                .bind(tenant_seq)
                .bind(upload)
                .bind(serde_json::to_string(change)?)
                .execute(&mut **tx)
                .await?;
        }
        if !changes.is_empty() {
            self.leave_hint(tx, &Hint::Events { job }).await?;
        }
        Ok(())
    }

    /// The job's events after `after`, at most `count_max`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn events_of_job(
        &self,
        tenant: &Tenant,
        job: JobId,
        after: EventSeq,
        count_max: i64,
    ) -> Result<Vec<JobEvent>, Error> {
        let rows = sqlx::query(OF_JOB.on(self.dialect))
            .bind(tenant.as_str())
            .bind(job.to_string())
            .bind(after.0)
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(row::event).collect()
    }

    /// The tenant's events after `after` in the order of commits, at most `count_max`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn events_of_tenant(
        &self,
        tenant: &Tenant,
        after: EventSeq,
        count_max: i64,
    ) -> Result<Vec<JobEvent>, Error> {
        let rows = sqlx::query(OF_TENANT.on(self.dialect))
            .bind(tenant.as_str())
            .bind(after.0)
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(row::event).collect()
    }

    /// The number of the tenant's last event.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn tenant_event_seq(&self, tenant: &Tenant) -> Result<EventSeq, Error> {
        let seq: Option<(i64,)> = sqlx::query_as(TENANT_SEQ.on(self.dialect))
            .bind(tenant.as_str())
            .fetch_optional(&self.read)
            .await?;
        Ok(EventSeq(seq.map_or(0, |(seq,)| seq)))
    }
}
