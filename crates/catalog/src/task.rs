//! Tasks and the edges between them.

use std::collections::HashMap;

use reelway_domain::{JobId, LeaseEpoch, NewTask, ReadyAt, TaskId, TaskRef, Tenant, UploadId, limits};
use serde::Serialize;

use crate::{
    Catalog, Error, Task,
    due::stretched,
    layout::Epochs,
    sql::{Sql, list},
    tx::Tx,
};

static INSERT: Sql = Sql::new(
    "INSERT INTO tasks (id, job_id, kind, idx, state, pending, ready_at_offset, weight_ms, due_ms, memory_mib, attempt_max,
                        lease_epoch, run_at_ms, created_at_ms, updated_at_ms)
     SELECT v.value ->> 'id', $2, v.value ->> 'kind', CAST(v.value ->> 'index' AS BIGINT), 'queued',
            CAST(v.value ->> 'pending' AS BIGINT), CAST(v.value ->> 'ready_at_offset' AS BIGINT),
            CAST(v.value ->> 'weight_ms' AS BIGINT), CAST(v.value ->> 'due_ms' AS BIGINT),
            CAST(v.value ->> 'memory_mib' AS BIGINT), $3, CAST(v.value ->> 'lease_epoch' AS BIGINT), {now}, {now}, {now}
     FROM {rows:$1} AS v",
);
static INSERT_EDGES: Sql = Sql::new(
    "INSERT INTO task_edges (before_id, after_id) SELECT v.value ->> 'before', v.value ->> 'after' FROM {rows:$1} AS v",
);
static CLAIMABLE: Sql = Sql::new(
    "SELECT COUNT(*) FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
     WHERE t.id {in:$1} AND {claimable}",
);
static CLAIMABLE_OF_JOBS: Sql = Sql::new(
    "SELECT COUNT(*) FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
     WHERE t.job_id {in:$1} AND {claimable}",
);
static REFS: Sql = Sql::new("SELECT id, kind, idx, state FROM tasks WHERE job_id = $1");
static OF_JOB: Sql =
    Sql::new("SELECT {task} FROM tasks WHERE job_id = (SELECT id FROM jobs WHERE tenant = $1 AND id = $2) ORDER BY id");
static RESULT: Sql =
    Sql::new("SELECT result FROM tasks WHERE job_id = $1 AND kind = $2 AND idx = $3 AND state = 'succeeded'");

/// A task's row.
#[derive(Serialize)]
struct NewRow {
    id: TaskId,
    kind: &'static str,
    index: i32,
    pending: usize,
    ready_at_offset: Option<i64>,
    weight_ms: i64,
    /// In milliseconds since 1970.
    due_ms: i64,
    memory_mib: i64,
    lease_epoch: LeaseEpoch,
}

#[derive(Serialize)]
struct NewEdge {
    before: TaskId,
    after: TaskId,
}

/// A task that others can name as their predecessor.
#[derive(Clone, Copy)]
struct Known {
    id: TaskId,
    /// Whether it is still to be waited for.
    waiting: bool,
}

/// Tasks that were added to a job.
pub(crate) struct Inserted {
    /// How many tasks the job has now.
    pub(crate) task_count: i64,
    /// The new ones that wait for no other.
    pub(crate) free: Vec<TaskId>,
    /// The job's upload, if tasks wait for bytes of it.
    pub(crate) waits_for: Option<UploadId>,
}

impl Catalog {
    /// Adds tasks to a job. Predecessors stand before their successors in `tasks` or are in the job already, so that ids
    /// ascend along the edges, which is the order of locks. A task counts its claims on from `epochs`. The upload must be
    /// locked.
    pub(crate) async fn insert_tasks(
        &self,
        tx: &mut Tx,
        job: JobId,
        tasks: &[NewTask],
        epochs: &Epochs,
    ) -> Result<Inserted, Error> {
        let mut known = self.known_tasks(tx, job).await?;
        let due_ms = self.due_ms(tx, job).await?;
        let (mut rows, mut edges) = (Vec::with_capacity(tasks.len()), Vec::new());
        for new in tasks {
            let id = TaskId::new();
            let mut pending = 0;
            for task in &new.after {
                let before = known
                    .get(task)
                    .ok_or_else(|| Error::Corrupt(format!("{task:?} stands after its successor")))?;
                pending += usize::from(before.waiting);
                edges.push(NewEdge {
                    before: before.id,
                    after: id,
                });
            }
            rows.push(NewRow {
                id,
                kind: new.task.kind.as_str(),
                index: new.task.index,
                pending,
                ready_at_offset: new.ready_at.offset(),
                weight_ms: new.weight_ms,
                due_ms: due_ms + stretched(new.due_ms),
                memory_mib: new.memory_mib,
                lease_epoch: epochs.get(&new.task).copied().unwrap_or(LeaseEpoch(0)),
            });
            known.insert(new.task, Known { id, waiting: true });
        }
        let free = rows.iter().filter(|row| row.pending == 0).map(|row| row.id).collect();
        sqlx::query(INSERT.on(self.dialect))
            .bind(list(rows)?)
            .bind(job.to_string())
            .bind(i64::from(limits::ATTEMPTS_MAX))
            .execute(&mut ***tx)
            .await?;
        if !edges.is_empty() {
            sqlx::query(INSERT_EDGES.on(self.dialect))
                .bind(list(edges)?)
                .execute(&mut ***tx)
                .await?;
        }
        let waits_for = match tasks.iter().any(|new| new.ready_at != ReadyAt::Complete) {
            true => self.say_what_waits(tx, job).await?,
            false => None,
        };
        let task_count = i64::try_from(known.len()).map_err(|_| Error::Corrupt("too many tasks".into()))?;
        Ok(Inserted {
            task_count,
            free,
            waits_for,
        })
    }

    async fn known_tasks(&self, tx: &mut Tx, job: JobId) -> Result<HashMap<TaskRef, Known>, Error> {
        let rows: Vec<(String, String, i64, String)> = sqlx::query_as(REFS.on(self.dialect))
            .bind(job.to_string())
            .fetch_all(&mut ***tx)
            .await?;
        let known = |(id, kind, index, state): (String, String, i64, String)| {
            let index = i32::try_from(index).map_err(|_| Error::Corrupt("a task's index is too large".into()))?;
            let kind = kind.parse()?;
            let known = Known {
                id: id.parse()?,
                waiting: state != "succeeded",
            };
            Ok((TaskRef { kind, index }, known))
        };
        rows.into_iter().map(known).collect()
    }

    /// Leaves the hint for workers, if any of some tasks can be claimed now.
    pub(crate) async fn wake_for_tasks(&self, tx: &mut Tx, tasks: &[TaskId]) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.wake_for(tx, &CLAIMABLE, list(tasks)?).await
    }

    /// Leaves the hint for workers, if any task of some jobs can be claimed now.
    pub(crate) async fn wake_for_jobs(&self, tx: &mut Tx, jobs: &[JobId]) -> Result<(), Error> {
        self.wake_for(tx, &CLAIMABLE_OF_JOBS, list(jobs)?).await
    }

    async fn wake_for(&self, tx: &mut Tx, claimable: &'static Sql, ids: String) -> Result<(), Error> {
        let (count,): (i64,) = sqlx::query_as(claimable.on(self.dialect))
            .bind(ids)
            .fetch_one(&mut ***tx)
            .await?;
        tx.leave_tasks(count);
        Ok(())
    }

    /// What one task of a job recorded; `None` if there is no such task or it has not succeeded.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn result(&self, job: JobId, task: TaskRef) -> Result<Option<String>, Error> {
        let row: Option<(Option<String>,)> = sqlx::query_as(RESULT.on(self.dialect))
            .bind(job.to_string())
            .bind(task.kind.as_str())
            .bind(i64::from(task.index))
            .fetch_optional(&self.read)
            .await?;
        Ok(row.and_then(|(result,)| result))
    }

    /// All tasks of a job in the order of the plan.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn tasks(&self, tenant: &Tenant, job: JobId) -> Result<Vec<Task>, Error> {
        let rows = sqlx::query(OF_JOB.on(self.dialect))
            .bind(tenant.as_str())
            .bind(job.to_string())
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(Task::try_from).collect()
    }
}
