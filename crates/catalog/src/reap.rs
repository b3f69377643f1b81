//! Attempts that came to nothing: the worker says so, or its lease ran out.

use std::time::Duration;

use rand::Rng as _;
use reelway_domain::{Change, Failure, JobState, Reason, Retry, TaskState, limits};

use crate::{Catalog, Dialect, Error, Fenced, Task, sql::Sql, tx::Tx, upload::millis};

static END_ATTEMPT: Sql = Sql::new(
    "UPDATE tasks SET state = $3, error = $4, stderr_tail = $5, run_at_ms = {now} + $6, lease_owner = NULL,
                      lease_expires_at_ms = NULL, updated_at_ms = {now}
     WHERE id = $1 AND lease_epoch = $2 AND state = 'running' AND ($7 = 0 OR lease_expires_at_ms < {now})",
);
static EXPIRED: Sql = Sql::new(
    "SELECT {task} FROM tasks WHERE state = 'running' AND lease_expires_at_ms < {now} ORDER BY lease_expires_at_ms LIMIT $1",
);

/// Lets every lease run out.
pub(crate) static EXPIRE_ALL: Sql = Sql::new("UPDATE tasks SET lease_expires_at_ms = 0 WHERE state = 'running'");

/// Who ends an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ender {
    Worker,
    Reaper,
}

impl Catalog {
    /// Records that an attempt failed. If another one can help and is left, the task waits for it; otherwise the job fails,
    /// unless the attempt rested on a part of the upload or on a plan that is not confirmed yet: then the task waits for that.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn fail_attempt(&self, task: &Task, failure: &Failure, stderr_tail: &str) -> Result<Fenced, Error> {
        self.end_attempt(task, failure, stderr_tail, Ender::Worker).await
    }

    /// Ends attempts whose lease ran out, at most `count_max`. Gives how many. Any number of servers may do this at once.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn reap(&self, count_max: i64) -> Result<usize, Error> {
        let rows = sqlx::query(EXPIRED.on(self.dialect))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        let mut reaped = 0;
        for row in &rows {
            let task = Task::try_from(row)?;
            let owner = task.lease_owner.clone().unwrap_or_default();
            let message = "the worker was not heard of again; its attempt was given up";
            let failure = Failure::new(Reason::WorkerLost, message).with("worker", owner);
            if self.end_attempt(&task, &failure, "", Ender::Reaper).await? == Fenced::Done {
                reaped += 1;
            }
        }
        Ok(reaped)
    }

    /// Lets every lease run out that a dead process left in a SQLite catalog, so that the reaper need not wait for them. The
    /// process lock proves that nobody else is alive. Their attempts count: what brought the process down may have been the
    /// task. On Postgres other workers live, and nothing is done. Call it before the first claim.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn expire_orphaned_leases(&self) -> Result<(), Error> {
        if self.dialect == Dialect::Sqlite {
            sqlx::query(EXPIRE_ALL.on(self.dialect)).execute(&self.write).await?;
        }
        Ok(())
    }

    async fn end_attempt(
        &self,
        task: &Task,
        failure: &Failure,
        stderr_tail: &str,
        ender: Ender,
    ) -> Result<Fenced, Error> {
        let is_left = failure.reason.retry() == Retry::WithBackoff && task.attempt < task.attempt_max;
        let mut tx = self.begin().await?;
        let doubt = if is_left {
            None
        } else {
            // The whole job may end, so the upload and all its tasks are locked before this one is, in the order of locks.
            self.lock_upload_of(&mut tx, task.job).await?;
            self.lock_tasks(&mut tx, task.job).await?;
            self.doubt(&mut tx, task, failure).await?
        };
        let again = is_left || doubt.is_some();
        let state = if again { TaskState::Queued } else { TaskState::Failed };
        let ended = sqlx::query(END_ATTEMPT.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .bind(state.as_str())
            .bind(serde_json::to_string(failure)?)
            .bind(stderr_tail)
            .bind(millis(backoff(task.attempt)))
            .bind(i64::from(ender == Ender::Reaper))
            .execute(&mut **tx)
            .await?;
        if ended.rows_affected() == 0 {
            return Ok(Fenced::LeaseLost);
        }
        if let Some(doubt) = doubt {
            self.reprieve(&mut tx, task, doubt).await?;
        }
        self.tell(&mut tx, task, state, failure).await?;
        self.commit(tx).await?;
        Ok(Fenced::Done)
    }

    async fn tell(&self, tx: &mut Tx, task: &Task, state: TaskState, failure: &Failure) -> Result<(), Error> {
        let change = Change::TaskState {
            task: task.id,
            task_kind: task.kind,
            index: task.index,
            state,
            attempt: task.attempt,
            error: Some(failure.clone()),
        };
        if state == TaskState::Queued {
            // Nobody is woken: the task pauses first, and is found after that by those who look by themselves.
            return self.append_events(tx, task.job, &[change]).await;
        }
        let mut why = failure.clone().with("task", task.kind);
        if failure.reason.retry() == Retry::WithBackoff {
            why = why.with("attempts", task.attempt);
        }
        self.end_jobs(tx, &[task.job], JobState::Failed, Some(&why), &[change])
            .await?;
        Ok(())
    }
}

/// The pause after attempt number `attempt`, from 1: exponential with full jitter.
fn backoff(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 16) - 1).unwrap_or(0);
    let longest = limits::BACKOFF_MIN
        .saturating_mul(1 << doublings)
        .min(limits::BACKOFF_MAX);
    rand::rng().random_range(Duration::ZERO..=longest)
}
