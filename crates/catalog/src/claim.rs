//! Leases: claiming a task, keeping it, and giving it back (invariant 5). The database's clock judges.

use std::time::Duration;

use reelway_domain::{Change, Hint, JobState, TaskState, WorkerId};

use crate::{Catalog, Error, Fenced, Job, Task, Upload, row::Columns, sql::Sql, upload::millis};

/// A task that this worker has, with what it needs to do it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The task; its `lease_epoch` is this claim's.
    pub task: Task,
    /// Its job.
    pub job: Job,
    /// The source.
    pub upload: Upload,
    /// The plan, as the plan task recorded it.
    pub plan: Option<String>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The lease is good for another while.
    Alive,
    /// The job has ended: stop at once.
    Cancelled,
    /// Somebody else has the task: stop at once and touch nothing.
    Lost,
}

static CLAIM: Sql = Sql::new(
    "UPDATE tasks SET state = 'running', attempt = attempt + 1, lease_epoch = lease_epoch + 1, lease_owner = $1,
                      lease_expires_at_ms = {now} + $2, updated_at_ms = {now}
     WHERE id = (
        SELECT t.id FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
        WHERE t.state = 'queued' AND t.pending = 0 AND t.run_at_ms <= {now} AND j.state IN ('queued', 'running')
          AND (u.state = 'complete'
               OR (u.state = 'receiving' AND t.ready_at_offset IS NOT NULL AND u.durable_offset >= t.ready_at_offset))
        ORDER BY t.id LIMIT 1 {skip_locked})
     RETURNING *",
);
static START_JOB: Sql = Sql::new(
    "UPDATE jobs SET attempts = attempts + 1, state = 'running', started_at_ms = COALESCE(started_at_ms, {now}),
                     updated_at_ms = {now}
     WHERE id = $1 AND state IN ('queued', 'running')",
);
static LOCK_JOB: Sql = Sql::new("SELECT state FROM jobs WHERE id = $1 {for_update}");
static JOB: Sql = Sql::new("SELECT * FROM jobs WHERE id = $1");
static UPLOAD: Sql = Sql::new("SELECT * FROM uploads WHERE id = $1");
static BEAT: Sql = Sql::new(
    "UPDATE tasks SET lease_expires_at_ms = {now} + $3, updated_at_ms = {now}
     WHERE id = $1 AND lease_epoch = $2 AND state = 'running'",
);
static STATE: Sql = Sql::new("SELECT state FROM tasks WHERE id = $1 AND lease_epoch = $2");
// A hand-back is no failure: it gives the attempt back. The epoch stays, and the next claim moves it on.
static HAND_BACK: Sql = Sql::new(
    "UPDATE tasks SET state = 'queued', attempt = attempt - 1, lease_owner = NULL, lease_expires_at_ms = NULL,
                      updated_at_ms = {now}
     WHERE id = $1 AND lease_epoch = $2 AND state = 'running'",
);

impl Catalog {
    /// Takes the oldest claimable task, if there is one.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn claim(&self, owner: WorkerId, ttl: Duration) -> Result<Option<Claim>, Error> {
        let mut tx = self.write.begin().await?;
        let claimed = sqlx::query(CLAIM.on(self.dialect))
            .bind(owner.to_string())
            .bind(millis(ttl))
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = claimed else { return Ok(None) };
        let task = Task::try_from(&row)?;
        let job_id = task.job.to_string();
        // Locked before it is looked at, so that only one of several claims is the first.
        let (state,): (String,) = sqlx::query_as(LOCK_JOB.on(self.dialect))
            .bind(&job_id)
            .fetch_one(&mut *tx)
            .await?;
        let started = sqlx::query(START_JOB.on(self.dialect))
            .bind(&job_id)
            .execute(&mut *tx)
            .await?;
        if started.rows_affected() == 0 {
            // The job ended in this moment; dropping the transaction undoes the claim.
            return Ok(None);
        }
        let mut changes = Vec::with_capacity(2);
        if state == JobState::Queued.as_str() {
            changes.push(Change::JobState {
                state: JobState::Running,
                error: None,
            });
        }
        changes.push(task_change(&task, TaskState::Running));
        self.append_events(&mut tx, task.job, &changes).await?;
        let row = sqlx::query(JOB.on(self.dialect))
            .bind(&job_id)
            .fetch_one(&mut *tx)
            .await?;
        let job = Job::try_from(&row)?;
        let plan = Columns(&row).text_or_null("plan")?;
        let row = sqlx::query(UPLOAD.on(self.dialect))
            .bind(job.upload.to_string())
            .fetch_one(&mut *tx)
            .await?;
        let upload = Upload::try_from(&row)?;
        self.commit(tx).await?;
        Ok(Some(Claim {
            task,
            job,
            upload,
            plan,
        }))
    }

    /// Says that the worker is alive and at it.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: the lease may or may not be longer now.
    pub async fn heartbeat(&self, task: &Task, ttl: Duration) -> Result<Beat, Error> {
        let beaten = sqlx::query(BEAT.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .bind(millis(ttl))
            .execute(&self.write)
            .await?;
        if beaten.rows_affected() == 1 {
            return Ok(Beat::Alive);
        }
        let state: Option<(String,)> = sqlx::query_as(STATE.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .fetch_optional(&self.read)
            .await?;
        match state {
            Some((state,)) if state == TaskState::Cancelled.as_str() => Ok(Beat::Cancelled),
            _ => Ok(Beat::Lost),
        }
    }

    /// Gives a task back unfinished, because the worker is going down. The attempt doesn't count.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn hand_back(&self, task: &Task) -> Result<Fenced, Error> {
        let mut tx = self.write.begin().await?;
        let given = sqlx::query(HAND_BACK.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .execute(&mut *tx)
            .await?;
        if given.rows_affected() == 0 {
            return Ok(Fenced::LeaseLost);
        }
        self.leave_hint(&mut tx, &Hint::Tasks).await?;
        self.append_events(&mut tx, task.job, &[task_change(task, TaskState::Queued)])
            .await?;
        self.commit(tx).await?;
        Ok(Fenced::Done)
    }
}

pub(crate) fn task_change(task: &Task, state: TaskState) -> Change {
    Change::TaskState {
        task: task.id,
        task_kind: task.kind,
        index: task.index,
        state,
        attempt: task.attempt,
        error: None,
    }
}
