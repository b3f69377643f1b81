//! Tasks that turned out to need more of the upload than there is.

use reelway_domain::{ReadyAt, TaskState};

use crate::{Catalog, Error, Fenced, Task, claim::task_change, sql::Sql};

// Whatever was tried before, the whole upload gets all attempts. A tail that came after the claim may be what was missing: then the task is tried again at once.
static POSTPONE: Sql = Sql::new(
    "UPDATE tasks SET state = 'queued', attempt = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN 0 ELSE attempt - 1 END, lease_owner = NULL, lease_expires_at_ms = NULL,
                      updated_at_ms = {now},
                      ready_at_offset = CASE WHEN $4 = 0 AND EXISTS (
                          SELECT 1 FROM jobs j JOIN uploads u ON u.id = j.upload_id
                          WHERE j.id = tasks.job_id AND u.tail_offset IS NOT NULL) THEN 0 ELSE CAST($3 AS BIGINT) END
     WHERE id = $1 AND lease_epoch = $2 AND state = 'running'",
);

impl Catalog {
    /// Gives a task back until so much of the upload is there. The attempt doesn't count. `tail_seen`: the claim's upload had
    /// its tail already; if it has got one since, the task can be claimed again at once.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn postpone(&self, task: &Task, ready: ReadyAt, tail_seen: bool) -> Result<Fenced, Error> {
        let mut tx = self.begin().await?;
        self.lock_upload_of(&mut tx, task.job).await?;
        let postponed = sqlx::query(POSTPONE.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .bind(ready.offset())
            .bind(i64::from(tail_seen))
            .execute(&mut **tx)
            .await?;
        if postponed.rows_affected() == 0 {
            return Ok(Fenced::LeaseLost);
        }
        self.say_what_waits(&mut tx, task.job).await?;
        self.append_events(&mut tx, task.job, &[task_change(task, TaskState::Queued)])
            .await?;
        self.wake_for_tasks(&mut tx, &[task.id]).await?;
        self.commit(tx).await?;
        Ok(Fenced::Done)
    }
}
