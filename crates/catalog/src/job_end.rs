//! How jobs end, and what may come after: a retry, or nothing at all.

use reelway_domain::{Change, Failure, JobId, JobState, Tenant};

use crate::{Catalog, Error, Job, sql::Sql, tx::Tx, webhook::Told};

/// What came of cancelling.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// It is cancelled now, or had ended before, as it says.
    Job(Job),
    /// The tenant has no such job.
    Unknown,
}

/// What came of retrying.
#[derive(Debug, Clone, PartialEq)]
pub enum Retried {
    /// It is queued again.
    Queued(Job),
    /// It is not failed or cancelled, or its upload came to nothing or was removed.
    Refused(Job),
    /// The tenant has no such job.
    Unknown,
}

/// What came of deleting.
#[derive(Debug, Clone, PartialEq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// It has not ended.
    Refused(Job),
    /// The tenant has no such job.
    Unknown,
}

static LOCK_UPLOAD: Sql = Sql::new(
    "SELECT id FROM uploads WHERE id = (SELECT upload_id FROM jobs WHERE tenant = $1 AND id = $2) {for_update}",
);
static LOCK_TASKS: Sql = Sql::new("SELECT id FROM tasks WHERE job_id = $1 ORDER BY id {for_update}");
// Taking the lease away fences the workers out at once; they hear of it with their next heartbeat or hint.
static CANCEL_TASKS: Sql = Sql::new(
    "UPDATE tasks SET state = 'cancelled', lease_owner = NULL, lease_expires_at_ms = NULL, updated_at_ms = {now}
     WHERE job_id = $1 AND state IN ('queued', 'running')",
);
static END: Sql = Sql::new(
    "UPDATE jobs SET state = $2, error = $3, finished_at_ms = {now}, updated_at_ms = {now}
     WHERE id = $1 AND state IN ('queued', 'running')",
);
static RETRY: Sql = Sql::new(
    "UPDATE jobs SET state = 'queued', error = NULL, finished_at_ms = NULL, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state IN ('failed', 'cancelled')
       AND upload_id IN (SELECT id FROM uploads WHERE state IN ('receiving', 'complete')
                           AND (source_state IS NULL OR source_state <> 'removed'))",
);
static RETRY_TASKS: Sql = Sql::new(
    "UPDATE tasks SET state = 'queued', attempt = 0, run_at_ms = {now}, updated_at_ms = {now}
     WHERE job_id = $1 AND state IN ('failed', 'cancelled')",
);
static DELETE: Sql =
    Sql::new("DELETE FROM jobs WHERE tenant = $1 AND id = $2 AND state IN ('succeeded', 'failed', 'cancelled')");
static FORGET: Sql =
    Sql::new("UPDATE uploads SET job_id = NULL WHERE job_id = $1 AND id = (SELECT upload_id FROM jobs WHERE id = $1)");

impl Catalog {
    /// Ends those of some jobs, sorted by id, that have not ended: their tasks are cancelled, their leases taken away.
    /// Gives whether any was living.
    pub(crate) async fn end_jobs(
        &self,
        tx: &mut Tx,
        jobs: &[JobId],
        state: JobState,
        failure: Option<&Failure>,
        before: &[Change],
    ) -> Result<bool, Error> {
        for job in jobs {
            self.lock_tasks(tx, *job).await?;
            sqlx::query(CANCEL_TASKS.on(self.dialect))
                .bind(job.to_string())
                .execute(&mut ***tx)
                .await?;
        }
        let error = failure.map(serde_json::to_string).transpose()?;
        let mut ended = Vec::with_capacity(jobs.len());
        for job in jobs {
            let rows = sqlx::query(END.on(self.dialect))
                .bind(job.to_string())
                .bind(state.as_str())
                .bind(error.as_deref())
                .execute(&mut ***tx)
                .await?;
            if rows.rows_affected() == 1 {
                ended.push(*job);
            }
        }
        let mut changes = before.to_vec();
        changes.push(Change::JobState {
            state,
            error: failure.cloned(),
        });
        if let Some(failure) = failure {
            for job in &ended {
                self.leave_webhook(tx, Told::JobFailed(*job, failure)).await?;
            }
        }
        let all: Vec<_> = ended
            .iter()
            .flat_map(|job| changes.iter().map(|change| (*job, change)))
            .collect();
        self.append_all(tx, &all).await?;
        Ok(!ended.is_empty())
    }

    /// Locks all tasks of a job in the order that every transaction keeps.
    pub(crate) async fn lock_tasks(&self, tx: &mut Tx, job: JobId) -> Result<(), Error> {
        sqlx::query(LOCK_TASKS.on(self.dialect))
            .bind(job.to_string())
            .fetch_all(&mut ***tx)
            .await?;
        Ok(())
    }

    /// Ends a job at its owner's wish. Its workers are fenced out with the commit and kill ffmpeg when they hear of it.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn cancel_job(&self, tenant: &Tenant, id: JobId) -> Result<Cancelled, Error> {
        let mut tx = self.begin().await?;
        if self.job_in(&mut tx, tenant, id).await?.is_none() {
            return Ok(Cancelled::Unknown);
        }
        let ended = self.end_jobs(&mut tx, &[id], JobState::Cancelled, None, &[]).await?;
        let job = self.job_in(&mut tx, tenant, id).await?;
        // Where nothing was ended, nothing may stay changed either.
        if ended {
            self.commit(tx).await?;
        } else {
            tx.rollback().await?;
        }
        Ok(job.map_or(Cancelled::Unknown, Cancelled::Job))
    }

    /// Queues a failed or cancelled job again. Tasks that succeeded stay done; the others get all their attempts back.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn retry_job(&self, tenant: &Tenant, id: JobId) -> Result<Retried, Error> {
        let mut tx = self.begin().await?;
        // The upload must not come to nothing meanwhile, or the job would wait for it for ever.
        sqlx::query(LOCK_UPLOAD.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
        self.lock_tasks(&mut tx, id).await?;
        let retried = sqlx::query(RETRY.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        if retried.rows_affected() == 0 {
            drop(tx);
            return Ok(self.job(tenant, id).await?.map_or(Retried::Unknown, Retried::Refused));
        }
        sqlx::query(RETRY_TASKS.on(self.dialect))
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        self.say_what_waits(&mut tx, id).await?;
        self.wake_for_jobs(&mut tx, &[id]).await?;
        self.append_events(
            &mut tx,
            id,
            &[Change::JobState {
                state: JobState::Queued,
                error: None,
            }],
        )
        .await?;
        let job = self.job_in(&mut tx, tenant, id).await?;
        self.commit(tx).await?;
        Ok(job.map_or(Retried::Unknown, Retried::Queued))
    }

    /// Deletes a job that has ended, with its tasks and events. What it made in the store is the caller's to remove.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn delete_job(&self, tenant: &Tenant, id: JobId) -> Result<Deleted, Error> {
        let mut tx = self.begin().await?;
        sqlx::query(FORGET.on(self.dialect))
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        self.lock_tasks(&mut tx, id).await?;
        let deleted = sqlx::query(DELETE.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        if deleted.rows_affected() == 1 {
            self.commit(tx).await?;
            return Ok(Deleted::Gone);
        }
        drop(tx);
        Ok(self.job(tenant, id).await?.map_or(Deleted::Unknown, Deleted::Refused))
    }
}
