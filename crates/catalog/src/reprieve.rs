//! A last attempt that rests on something uncertain doesn't end its job: the task waits until it is certain.
//!
//! Two things are uncertain while a source arrives: what is in the part that isn't there yet, and whether the plan that was
//! made from its index holds. Each doubt is given once, so a source that kills every worker still comes to its end: all attempts
//! on parts, all attempts on the whole, and one more once the plan is confirmed.

use reelway_domain::{Failure, Retry, TaskKind};

use crate::{Catalog, Error, Task, sql::Sql, tx::Tx};

/// Why an attempt that came to nothing is not the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Some attempts may have seen only a part of the upload: the whole of it gets all attempts.
    Part,
    /// The plan may be thrown away yet: if it is confirmed, one more attempt decides.
    Plan,
}

// A task that waits for the end of the upload anyway has never seen a part, nor has one that came after that end.
static SAW_A_PART: Sql = Sql::new(
    "SELECT COUNT(*) FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
     WHERE t.id = $1 AND t.ready_at_offset <= u.durable_offset
       AND (u.completed_at_ms IS NULL OR u.completed_at_ms > t.created_at_ms)",
);
static WAIT_FOR_WHOLE: Sql = Sql::new("UPDATE tasks SET attempt = 0, ready_at_offset = NULL WHERE id = $1");
macro_rules! judges {
    () => {
        "FROM tasks WHERE job_id = $1 AND kind IN ('plan', 'verify') AND state IN ('queued', 'running')"
    };
}
static JUDGES: Sql = Sql::new(concat!("SELECT COUNT(*) ", judges!()));
static WAIT_FOR_JUDGES: Sql = Sql::new(concat!(
    "INSERT INTO task_edges (before_id, after_id) SELECT id, CAST($2 AS TEXT) ",
    judges!()
));
// The wait is pause enough. Ids don't ascend along these edges; whoever ends a task locks it and what comes after it in one order.
static AFTER_JUDGES: Sql =
    Sql::new("UPDATE tasks SET attempt = attempt - 1, pending = pending + $2, run_at_ms = {now} WHERE id = $1");

impl Catalog {
    /// What speaks for a task whose job would end with this failure. The upload and all tasks of the job must be locked.
    pub(crate) async fn doubt(&self, tx: &mut Tx, task: &Task, failure: &Failure) -> Result<Option<Doubt>, Error> {
        // Of a failure for good, the worker knows whether it saw the whole upload.
        let can_pass = failure.reason.retry() == Retry::WithBackoff;
        if can_pass && self.counted(tx, &SAW_A_PART, &task.id.to_string()).await? > 0 {
            return Ok(Some(Doubt::Part));
        }
        // These judge themselves.
        let rests_on_plan = !matches!(task.kind, TaskKind::Probe | TaskKind::Plan | TaskKind::Verify);
        if rests_on_plan && self.counted(tx, &JUDGES, &task.job.to_string()).await? > 0 {
            return Ok(Some(Doubt::Plan));
        }
        Ok(None)
    }

    /// Lets a task that has been queued again wait for what its doubt is about.
    pub(crate) async fn reprieve(&self, tx: &mut Tx, task: &Task, doubt: Doubt) -> Result<(), Error> {
        let id = task.id.to_string();
        match doubt {
            Doubt::Part => {
                sqlx::query(WAIT_FOR_WHOLE.on(self.dialect))
                    .bind(id)
                    .execute(&mut ***tx)
                    .await?;
                self.say_what_waits(tx, task.job).await.map(drop)
            }
            Doubt::Plan => {
                let judges = sqlx::query(WAIT_FOR_JUDGES.on(self.dialect))
                    .bind(task.job.to_string())
                    .bind(&id)
                    .execute(&mut ***tx)
                    .await?;
                let count = i64::try_from(judges.rows_affected())
                    .map_err(|_| Error::Corrupt("too many tasks judge a plan".into()))?;
                sqlx::query(AFTER_JUDGES.on(self.dialect))
                    .bind(id)
                    .bind(count)
                    .execute(&mut ***tx)
                    .await?;
                Ok(())
            }
        }
    }

    async fn counted(&self, tx: &mut Tx, sql: &'static Sql, id: &str) -> Result<i64, Error> {
        let (count,): (i64,) = sqlx::query_as(sql.on(self.dialect))
            .bind(id)
            .fetch_one(&mut ***tx)
            .await?;
        Ok(count)
    }
}
