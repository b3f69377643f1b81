//! Successes under their leases, any number in one commit: results are kept, and successors released.

use std::collections::HashSet;

use reelway_domain::{LeaseEpoch, TaskId, TaskState};
use serde::Serialize;

use crate::{
    Catalog, Error, Fenced, Task,
    claim::task_change,
    sql::{Sql, list},
    tx::Tx,
};

/// A success that means nothing for its job but its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Success {
    /// The task, as it was claimed.
    pub task: Task,
    /// What it made.
    pub result: String,
}

/// One claim of one task.
pub(crate) type Lease = (TaskId, LeaseEpoch);

/// What recording successes did.
pub(crate) struct Recorded {
    /// Those whose leases were good.
    pub(crate) done: HashSet<Lease>,
    /// The successors that wait for no other task now.
    pub(crate) released: Vec<TaskId>,
}

// A successor may stand before its predecessor or any other task here: so all are locked in the one order.
static LOCK: Sql = Sql::new(
    "WITH wanted AS MATERIALIZED (
        SELECT id FROM tasks WHERE id {in:$1} UNION SELECT after_id FROM task_edges WHERE before_id {in:$1})
     SELECT id FROM tasks WHERE id {in:SELECT id FROM wanted} ORDER BY id {for_update}",
);
static SUCCEED: Sql = Sql::new(
    "WITH given AS MATERIALIZED (
        SELECT v.value ->> 'task' AS id, CAST(v.value ->> 'epoch' AS BIGINT) AS epoch, v.value ->> 'result' AS result
        FROM {rows:$1} AS v)
     UPDATE tasks SET state = 'succeeded', result = given.result, error = NULL, stderr_tail = '', lease_owner = NULL,
                      lease_expires_at_ms = NULL, updated_at_ms = {now}
     FROM given WHERE tasks.id = given.id AND tasks.id {in:$2} AND tasks.lease_epoch = given.epoch
       AND tasks.state = 'running'
     RETURNING tasks.id, tasks.lease_epoch",
);
static RELEASE: Sql = Sql::new(
    "WITH released AS MATERIALIZED (
        SELECT after_id AS id, COUNT(*) AS count FROM task_edges WHERE before_id {in:$1} GROUP BY after_id)
     UPDATE tasks SET pending = pending - released.count, updated_at_ms = {now}
     FROM released WHERE tasks.id = released.id RETURNING tasks.id, tasks.pending",
);

#[derive(Serialize)]
struct Given<'a> {
    task: TaskId,
    epoch: i64,
    result: &'a str,
}

impl Catalog {
    /// Records successes that mean nothing for their jobs but their results, in one transaction. Each is held against its
    /// own lease: one that is lost keeps none of the others from being recorded. The answers are in the order of the list.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: all are recorded or none then.
    pub async fn succeed_batch(&self, successes: &[Success]) -> Result<Vec<Fenced>, Error> {
        let mut tx = self.begin().await?;
        let pairs: Vec<_> = successes.iter().map(|s| (&s.task, s.result.as_str())).collect();
        let Recorded { mut done, released } = self.record(&mut tx, &pairs).await?;
        let mut changes = Vec::with_capacity(done.len());
        let mut answers = Vec::with_capacity(successes.len());
        for Success { task, .. } in successes {
            // Taken out, so that of two in the list that say the same only one counts.
            if done.remove(&(task.id, task.lease_epoch)) {
                changes.push((task.job, task_change(task, TaskState::Succeeded)));
                answers.push(Fenced::Done);
            } else {
                answers.push(Fenced::LeaseLost);
            }
        }
        if !changes.is_empty() {
            self.append_all(&mut tx, &changes).await?;
            self.wake_for_tasks(&mut tx, &released).await?;
            self.commit(tx).await?;
        }
        Ok(answers)
    }

    /// Marks tasks as succeeded whose leases are good, and releases their successors. Workers are to be woken for these once
    /// the jobs are locked: then a commit of bytes that is under way is either seen, or sees them.
    pub(crate) async fn record(&self, tx: &mut Tx, successes: &[(&Task, &str)]) -> Result<Recorded, Error> {
        let ids: HashSet<TaskId> = successes.iter().map(|(task, _)| task.id).collect();
        let locked = sqlx::query(LOCK.on(self.dialect))
            .bind(list(&ids)?)
            .fetch_all(&mut ***tx)
            .await?;
        let given = successes.iter().map(|(task, result)| Given {
            task: task.id,
            epoch: task.lease_epoch.0,
            result,
        });
        let rows: Vec<(String, i64)> = sqlx::query_as(SUCCEED.on(self.dialect))
            .bind(list(given)?)
            .bind(list(&ids)?)
            .fetch_all(&mut ***tx)
            .await?;
        let lease = |(id, epoch): (String, i64)| Ok((id.parse()?, LeaseEpoch(epoch)));
        let done = rows.into_iter().map(lease).collect::<Result<HashSet<Lease>, Error>>()?;
        let has_successors = locked.len() > ids.len();
        let released = if has_successors && !done.is_empty() {
            self.release(tx, done.iter().map(|(id, _)| *id)).await?
        } else {
            Vec::new()
        };
        Ok(Recorded { done, released })
    }

    /// Gives the tasks that wait for no other now.
    async fn release(&self, tx: &mut Tx, done: impl Iterator<Item = TaskId>) -> Result<Vec<TaskId>, Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as(RELEASE.on(self.dialect))
            .bind(list(done)?)
            .fetch_all(&mut ***tx)
            .await?;
        let free = rows.into_iter().filter(|(_, pending)| *pending == 0);
        free.map(|(id, _)| Ok(id.parse()?)).collect()
    }
}
