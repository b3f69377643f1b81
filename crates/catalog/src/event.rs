//! Events: numbered under the locks of their job and tenant, in the transaction of the change that they tell of
//! (invariants 6 and 10).

use std::{borrow::Borrow, collections::BTreeMap};

use reelway_domain::{Change, EventSeq, JobEvent, JobId, Tenant};
use serde::Serialize;
use sqlx::any::AnyRow;

use crate::{
    Catalog, Error,
    row::{self, Columns},
    sql::{Sql, list},
    tx::Tx,
};

// The rows are locked in the one order first: an UPDATE takes them as they come.
static NUMBER_IN_JOBS: Sql = Sql::new(
    "WITH given AS MATERIALIZED (
        SELECT v.value ->> 'job' AS id, CAST(v.value ->> 'count' AS BIGINT) AS count FROM {rows:$1} AS v),
     locked AS MATERIALIZED (SELECT id FROM jobs WHERE id {in:$2} ORDER BY id {for_update})
     UPDATE jobs SET event_seq = event_seq + given.count, updated_at_ms = {now}
     FROM given JOIN locked ON locked.id = given.id WHERE jobs.id = given.id AND jobs.id {in:$2}
     RETURNING jobs.id, jobs.event_seq, jobs.tenant, jobs.upload_id, jobs.trace_context",
);
static INSERT: Sql = Sql::new(
    "INSERT INTO job_events (job_id, seq, tenant, tenant_seq, upload_id, change, created_at_ms)
     SELECT v.value ->> 'job', CAST(v.value ->> 'seq' AS BIGINT), v.value ->> 'tenant',
            CAST(v.value ->> 'tenant_seq' AS BIGINT), v.value ->> 'upload', v.value ->> 'change', {now}
     FROM {rows:$1} AS v",
);
static OF_JOB: Sql =
    Sql::new("SELECT {event} FROM job_events WHERE tenant = $1 AND job_id = $2 AND seq > $3 ORDER BY seq LIMIT $4");
static OF_TENANT: Sql =
    Sql::new("SELECT {event} FROM job_events WHERE tenant = $1 AND tenant_seq > $2 ORDER BY tenant_seq LIMIT $3");
static TENANT_SEQ: Sql = Sql::new("SELECT event_seq FROM tenants WHERE id = $1");

/// An event on its way into the record.
#[derive(Debug, Serialize)]
pub(crate) struct NewEvent {
    job: JobId,
    seq: i64,
    tenant: String,
    /// Set when the change commits.
    tenant_seq: i64,
    upload: String,
    /// As JSON.
    change: String,
}

/// How many events a job gets.
#[derive(Serialize)]
struct Given {
    job: JobId,
    count: usize,
}

impl Tx {
    /// Gathers events of a job whose row, as it is now, has their numbers already taken; with the hint for its watchers.
    pub(crate) fn push_events<C: Borrow<Change>>(&mut self, job: &AnyRow, changes: &[C]) -> Result<(), Error> {
        let columns = Columns(job);
        let id = columns.parsed("id")?;
        let before = columns.int("event_seq")? - i64::try_from(changes.len()).unwrap_or(i64::MAX);
        for (seq, change) in (before + 1..).zip(changes) {
            self.events.push(NewEvent {
                job: id,
                seq,
                tenant: columns.text("tenant")?,
                tenant_seq: 0,
                upload: columns.text("upload_id")?,
                change: serde_json::to_string(change.borrow())?,
            });
        }
        self.leave_events(id, columns.trace("trace_context")?);
        Ok(())
    }
}

impl Catalog {
    /// Appends events to a job's record and leaves the hint for its watchers. Locks the job.
    pub(crate) async fn append_events(&self, tx: &mut Tx, job: JobId, changes: &[Change]) -> Result<(), Error> {
        let changes: Vec<_> = changes.iter().map(|change| (job, change)).collect();
        self.append_all(tx, &changes).await
    }

    /// Appends events to the records of several jobs, in their order, and leaves the hints for their watchers. Locks the jobs.
    pub(crate) async fn append_all(&self, tx: &mut Tx, changes: &[(JobId, impl Borrow<Change>)]) -> Result<(), Error> {
        let mut of_jobs: BTreeMap<JobId, Vec<&Change>> = BTreeMap::new();
        for (job, change) in changes {
            of_jobs.entry(*job).or_default().push(change.borrow());
        }
        if of_jobs.is_empty() {
            return Ok(());
        }
        let given = of_jobs.iter().map(|(job, changes)| Given {
            job: *job,
            count: changes.len(),
        });
        let rows = sqlx::query(NUMBER_IN_JOBS.on(self.dialect))
            .bind(list(given)?)
            .bind(list(of_jobs.keys())?)
            .fetch_all(&mut ***tx)
            .await?;
        for row in &rows {
            let job: JobId = Columns(row).parsed("id")?;
            tx.push_events(row, of_jobs.get(&job).map_or(&[], Vec::as_slice))?;
        }
        Ok(())
    }

    /// Writes the events that a change has gathered, and the changes of accounts. From here on the rows of their tenants are
    /// locked.
    pub(crate) async fn write_events(&self, tx: &mut Tx) -> Result<(), Error> {
        let mut events = std::mem::take(&mut tx.events);
        let usage = std::mem::take(&mut tx.usage);
        let mut next: BTreeMap<String, i64> = usage.keys().map(|tenant| (tenant.clone(), 0)).collect();
        for event in &events {
            *next.entry(event.tenant.clone()).or_default() += 1;
        }
        for (tenant, count) in &mut next {
            let usage = usage.get(tenant).copied().unwrap_or_default();
            let last = self.change_tenant(tx, tenant, *count, usage).await?;
            *count = last - *count + 1;
        }
        if events.is_empty() {
            return Ok(());
        }
        for event in &mut events {
            if let Some(seq) = next.get_mut(&event.tenant) {
                event.tenant_seq = *seq;
                *seq += 1;
            }
        }
        sqlx::query(INSERT.on(self.dialect))
            .bind(list(events)?)
            .execute(&mut ***tx)
            .await?;
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
