//! Recording what a task did: the result, its effect on the job, the successors, and the events, in one transaction.

use reelway_domain::{Change, JobState, NewTask, RenditionInfo, SourceInfo, TaskState};

use crate::{Catalog, Error, Fenced, Task, claim::task_change, sql::Sql, tx::Tx, webhook::Told};

/// What a task's success means for its job.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing but its result.
    None,
    /// The source is known.
    Probed(SourceInfo),
    /// The rest of the graph is known.
    Planned {
        /// The plan as the media crate wrote it.
        plan: String,
        /// What the source is, more exactly.
        source: SourceInfo,
        /// What will be made.
        renditions: Vec<RenditionInfo>,
        /// The tasks that make it.
        tasks: Vec<NewTask>,
    },
    /// Players may see it from here on.
    Published(Published),
    /// Everything was made and counted.
    Finished,
}

/// What players may see.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The renditions with what was measured.
    pub renditions: Vec<RenditionInfo>,
    /// The key prefix of the playlists.
    pub prefix: String,
    /// The key of the poster.
    pub poster_key: Option<String>,
    /// Source frames that could not be decoded.
    pub missing_frames: i64,
}

static PROBED: Sql = Sql::new("UPDATE jobs SET source = $2 WHERE id = $1 AND state = 'running'");
static PLANNED: Sql =
    Sql::new("UPDATE jobs SET plan = $2, source = $3, renditions = $4 WHERE id = $1 AND state = 'running'");
static PUBLISHED: Sql = Sql::new(
    "UPDATE jobs SET renditions = $2, published_prefix = $3, poster_key = $4, missing_frames = $5,
                     playable_at_ms = COALESCE(playable_at_ms, {now})
     WHERE id = $1 AND state = 'running'",
);
static FINISHED: Sql =
    Sql::new("UPDATE jobs SET state = 'succeeded', finished_at_ms = {now} WHERE id = $1 AND state = 'running'");

/// What became of an effect on the job.
enum Applied {
    /// Done, and there is nothing to tell.
    Quietly,
    /// Done, and this is to be told.
    With(Change),
    /// The job has ended, so nothing may happen.
    JobNotRunning,
}

impl Catalog {
    /// Records a task's success under its lease. All of it happens, or nothing.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn succeed(&self, task: &Task, result: &str, effect: &Effect) -> Result<Fenced, Error> {
        let mut tx = self.begin().await?;
        // New successors are inserted after this, so they don't count their finished predecessor.
        if self.record(&mut tx, &[(task, result)]).await?.is_empty() {
            return Ok(Fenced::LeaseLost);
        }
        let mut changes = vec![task_change(task, TaskState::Succeeded)];
        match self.apply(&mut tx, task, effect).await? {
            Applied::Quietly => {}
            Applied::With(change) => changes.push(change),
            Applied::JobNotRunning => return Ok(Fenced::LeaseLost),
        }
        if *effect == Effect::Finished {
            self.leave_webhook(&mut tx, Told::JobSucceeded(task.job)).await?;
        }
        self.append_events(&mut tx, task.job, &changes).await?;
        self.commit(tx).await?;
        Ok(Fenced::Done)
    }

    async fn apply(&self, tx: &mut Tx, task: &Task, effect: &Effect) -> Result<Applied, Error> {
        let job = task.job.to_string();
        let (update, applied) = match effect {
            Effect::None => return Ok(Applied::Quietly),
            Effect::Probed(source) => {
                let update = sqlx::query(PROBED.on(self.dialect))
                    .bind(job)
                    .bind(serde_json::to_string(source)?);
                (update, Applied::Quietly)
            }
            Effect::Planned {
                plan,
                source,
                renditions,
                tasks,
            } => {
                let task_count = self.insert_tasks(tx, task.job, tasks).await?;
                self.wake_for_jobs(tx, &[task.job]).await?;
                let update = sqlx::query(PLANNED.on(self.dialect))
                    .bind(job)
                    .bind(plan.clone())
                    .bind(serde_json::to_string(source)?)
                    .bind(serde_json::to_string(renditions)?);
                let planned = Change::Planned {
                    source: source.clone(),
                    renditions: renditions.clone(),
                    task_count,
                };
                (update, Applied::With(planned))
            }
            Effect::Published(published) => {
                let update = sqlx::query(PUBLISHED.on(self.dialect))
                    .bind(job)
                    .bind(serde_json::to_string(&published.renditions)?)
                    .bind(published.prefix.clone())
                    .bind(published.poster_key.clone())
                    .bind(published.missing_frames);
                (update, Applied::With(Change::Playable))
            }
            Effect::Finished => {
                let succeeded = Change::JobState {
                    state: JobState::Succeeded,
                    error: None,
                };
                (
                    sqlx::query(FINISHED.on(self.dialect)).bind(job),
                    Applied::With(succeeded),
                )
            }
        };
        let updated = update.execute(&mut ***tx).await?;
        Ok(if updated.rows_affected() == 1 {
            applied
        } else {
            Applied::JobNotRunning
        })
    }
}
