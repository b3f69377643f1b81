//! Laying out a job's tasks from its plan: for the first time, further as the source grows, or anew.

use std::collections::HashMap;

use reelway_domain::{Change, Hint, JobId, LeaseEpoch, NewTask, RenditionInfo, SourceInfo, TaskKind, TaskRef};
use sqlx::any::AnyRow;

use crate::{Catalog, Error, Task, effect::Applied, row::Columns, sql::Sql, tx::Tx};

/// A plan and the tasks that it adds.
pub(crate) struct Layout<'a> {
    pub(crate) scope: Scope,
    pub(crate) plan: &'a str,
    pub(crate) source: &'a SourceInfo,
    pub(crate) renditions: &'a [RenditionInfo],
    pub(crate) tasks: &'a [NewTask],
}

/// What a plan means for the tasks that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// There are none but those that made it.
    First,
    /// They stay.
    More,
    /// They go, with what they made.
    Anew,
}

static RENDITIONS: Sql = Sql::new("SELECT renditions FROM jobs WHERE id = $1 {for_update}");
static PLANNED: Sql =
    Sql::new("UPDATE jobs SET plan = $2, source = $3, renditions = $4 WHERE id = $1 AND state = 'running'");
// What was published stays until something else is: players that have begun shall not stop.
static NOTHING_PUBLISHED: Sql = Sql::new("UPDATE jobs SET published_segments = 0 WHERE id = $1 AND state = 'running'");
// The edges go with their tasks.
static CLEAR: Sql = Sql::new(
    "DELETE FROM tasks WHERE job_id = $1 AND id <> $2 AND NOT (kind IN ('probe', 'plan') AND state = 'succeeded')
     RETURNING kind, idx, lease_epoch",
);

/// How many claims tasks had that were there before.
pub(crate) type Epochs = HashMap<TaskRef, LeaseEpoch>;

impl Catalog {
    /// Takes the locks that laying out needs, before any other is taken: the upload's, on whose bytes tasks wait, and those of
    /// all tasks if they go.
    pub(crate) async fn prepare_layout(&self, tx: &mut Tx, job: JobId, layout: &Layout<'_>) -> Result<(), Error> {
        self.lock_upload_of(tx, job).await?;
        if layout.scope == Scope::Anew {
            self.lock_tasks(tx, job).await?;
        }
        Ok(())
    }

    /// Lays out the tasks of a plan that a task made, which has succeeded; `None` if the job doesn't run.
    pub(crate) async fn lay_out(
        &self,
        tx: &mut Tx,
        task: &Task,
        layout: &Layout<'_>,
    ) -> Result<Option<Applied>, Error> {
        let job = task.job;
        let epochs = match layout.scope {
            Scope::First | Scope::More => Epochs::new(),
            Scope::Anew => self.clear(tx, task).await?,
        };
        let inserted = self.insert_tasks(tx, job, layout.tasks, &epochs).await?;
        if let Some(upload) = inserted.waits_for {
            // Its writer may have received that already, and makes it durable as soon as it knows.
            tx.leave(Hint::Upload { upload });
        }
        let renditions = self.renditions_after(tx, job, layout).await?;
        let updated = sqlx::query(PLANNED.on(self.dialect))
            .bind(job.to_string())
            .bind(layout.plan)
            .bind(serde_json::to_string(layout.source)?)
            .bind(serde_json::to_string(
                renditions.as_deref().unwrap_or(layout.renditions),
            )?)
            .execute(&mut ***tx)
            .await?;
        if updated.rows_affected() == 0 {
            return Ok(None);
        }
        // A plan that only reaches further, for the same renditions, is nothing new for those who watch.
        let planned = renditions.is_none().then(|| Change::Planned {
            source: layout.source.clone(),
            renditions: layout.renditions.to_vec(),
            task_count: inserted.task_count,
        });
        Ok(Some(Applied {
            change: planned,
            free: inserted.free,
        }))
    }

    /// Deletes what an earlier plan laid out. Claims of it find their task gone. New tasks count their claims on from where
    /// these ended, so that no two claims write under the same key.
    async fn clear(&self, tx: &mut Tx, but: &Task) -> Result<Epochs, Error> {
        let rows = sqlx::query(CLEAR.on(self.dialect))
            .bind(but.job.to_string())
            .bind(but.id.to_string())
            .fetch_all(&mut ***tx)
            .await?;
        sqlx::query(NOTHING_PUBLISHED.on(self.dialect))
            .bind(but.job.to_string())
            .execute(&mut ***tx)
            .await?;
        rows.iter().map(epoch).collect()
    }

    /// The renditions of the job as they are, with what was measured, if a further plan makes the same; `None` if they become
    /// those of the plan.
    async fn renditions_after(
        &self,
        tx: &mut Tx,
        job: JobId,
        layout: &Layout<'_>,
    ) -> Result<Option<Vec<RenditionInfo>>, Error> {
        if layout.scope != Scope::More {
            return Ok(None);
        }
        let (text,): (String,) = sqlx::query_as(RENDITIONS.on(self.dialect))
            .bind(job.to_string())
            .fetch_one(&mut ***tx)
            .await?;
        let before: Vec<RenditionInfo> = serde_json::from_str(&text)?;
        let names = |renditions: &[RenditionInfo]| renditions.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
        Ok((names(&before) == names(layout.renditions)).then_some(before))
    }
}

fn epoch(row: &AnyRow) -> Result<(TaskRef, LeaseEpoch), Error> {
    let columns = Columns(row);
    let task = TaskRef {
        kind: columns.parsed::<TaskKind>("kind")?,
        index: columns.small("idx")?,
    };
    Ok((task, LeaseEpoch(columns.int("lease_epoch")?)))
}
