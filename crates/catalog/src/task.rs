//! Tasks and the edges between them.

use std::collections::HashMap;

use reelway_domain::{JobId, NewTask, ReadyAt, TaskId, TaskRef, Tenant, limits};
use sqlx::{Any, Transaction};

use crate::{Catalog, Error, Task, sql::Sql};

static INSERT: Sql = Sql::new(
    "INSERT INTO tasks (id, job_id, kind, idx, state, pending, ready_at_offset, weight_ms, attempt_max, run_at_ms,
                        created_at_ms, updated_at_ms)
     VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8, {now}, {now}, {now})",
);
static EDGE: Sql = Sql::new("INSERT INTO task_edges (before_id, after_id) VALUES ($1, $2)");
static REFS: Sql = Sql::new("SELECT id, kind, idx, state FROM tasks WHERE job_id = $1");
static OF_JOB: Sql = Sql::new(
    "SELECT tasks.* FROM tasks JOIN jobs ON jobs.id = tasks.job_id
     WHERE jobs.tenant = $1 AND tasks.job_id = $2 ORDER BY tasks.id",
);

impl Catalog {
    /// Adds tasks to a job. Predecessors stand before their successors in `tasks` or are in the job already, so that ids
    /// ascend along the edges, which is the order of locks. Gives how many tasks the job has then.
    pub(crate) async fn insert_tasks(
        &self,
        tx: &mut Transaction<'_, Any>,
        job: JobId,
        tasks: &[NewTask],
    ) -> Result<i64, Error> {
        // Whether each task of the job is still to be waited for.
        let mut known: HashMap<TaskRef, (String, bool)> = HashMap::new();
        let rows: Vec<(String, String, i64, String)> = sqlx::query_as(REFS.on(self.dialect))
            .bind(job.to_string())
            .fetch_all(&mut **tx)
            .await?;
        for (id, kind, index, state) in rows {
            let index = i32::try_from(index).map_err(|_| Error::Corrupt("a task's index is too large".into()))?;
            known.insert(
                TaskRef {
                    kind: kind.parse()?,
                    index,
                },
                (id, state != "succeeded"),
            );
        }
        for new in tasks {
            let id = TaskId::new().to_string();
            let find = |task: &TaskRef| {
                known
                    .get(task)
                    .ok_or_else(|| Error::Corrupt(format!("{task:?} stands after its successor")))
            };
            let before: Vec<&(String, bool)> = new.after.iter().map(find).collect::<Result<_, _>>()?;
            let pending = before.iter().filter(|(_, waiting)| *waiting).count();
            sqlx::query(INSERT.on(self.dialect))
                .bind(&id)
                .bind(job.to_string())
                .bind(new.task.kind.as_str())
                .bind(i64::from(new.task.index))
                .bind(i64::try_from(pending).map_err(|_| Error::Corrupt("too many predecessors".into()))?)
                .bind(match new.ready_at {
                    ReadyAt::Complete => None,
                    ReadyAt::Offset(offset) => Some(offset.0),
                })
                .bind(new.weight_ms)
                .bind(i64::from(limits::ATTEMPTS_MAX))
                .execute(&mut **tx)
                .await?;
            for (before, _) in before {
                sqlx::query(EDGE.on(self.dialect))
                    .bind(before)
                    .bind(&id)
                    .execute(&mut **tx)
                    .await?;
            }
            known.insert(new.task, (id, true));
        }
        i64::try_from(known.len()).map_err(|_| Error::Corrupt("too many tasks".into()))
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
