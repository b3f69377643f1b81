//! Tasks and the edges between them.

use std::collections::HashMap;

use reelway_domain::{Hint, JobId, NewTask, ReadyAt, TaskId, TaskRef, Tenant, limits};
use serde::Serialize;

use crate::{
    Catalog, Error, Task,
    sql::{Sql, list},
    tx::Tx,
};

static INSERT: Sql = Sql::new(
    "INSERT INTO tasks (id, job_id, kind, idx, state, pending, ready_at_offset, weight_ms, attempt_max, run_at_ms,
                        created_at_ms, updated_at_ms)
     SELECT v.value ->> 'id', $2, v.value ->> 'kind', CAST(v.value ->> 'index' AS BIGINT), 'queued',
            CAST(v.value ->> 'pending' AS BIGINT), CAST(v.value ->> 'ready_at_offset' AS BIGINT),
            CAST(v.value ->> 'weight_ms' AS BIGINT), $3, {now}, {now}, {now}
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

/// A task's row.
#[derive(Serialize)]
struct NewRow {
    id: TaskId,
    kind: &'static str,
    index: i32,
    pending: usize,
    ready_at_offset: Option<i64>,
    weight_ms: i64,
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

impl Catalog {
    /// Adds tasks to a job. Predecessors stand before their successors in `tasks` or are in the job already, so that ids
    /// ascend along the edges, which is the order of locks. Gives how many tasks the job has then.
    pub(crate) async fn insert_tasks(&self, tx: &mut Tx, job: JobId, tasks: &[NewTask]) -> Result<i64, Error> {
        let mut known = self.known_tasks(tx, job).await?;
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
                ready_at_offset: match new.ready_at {
                    ReadyAt::Complete => None,
                    ReadyAt::Offset(offset) => Some(offset.0),
                },
                weight_ms: new.weight_ms,
            });
            known.insert(new.task, Known { id, waiting: true });
        }
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
        i64::try_from(known.len()).map_err(|_| Error::Corrupt("too many tasks".into()))
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
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        tx.leave(Hint::Tasks { count });
        Ok(())
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
