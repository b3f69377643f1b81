//! Keeping a lease, and giving it back (invariant 5). The database's clock judges.

use std::time::Duration;

use reelway_domain::{Hint, TaskState};

use crate::{Catalog, Error, Fenced, Task, claim::task_change, sql::Sql, upload::millis};

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
        let mut tx = self.begin().await?;
        let given = sqlx::query(HAND_BACK.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .execute(&mut **tx)
            .await?;
        if given.rows_affected() == 0 {
            return Ok(Fenced::LeaseLost);
        }
        self.append_events(&mut tx, task.job, &[task_change(task, TaskState::Queued)])
            .await?;
        tx.leave(Hint::Tasks { count: 1 });
        self.commit(tx).await?;
        Ok(Fenced::Done)
    }
}
