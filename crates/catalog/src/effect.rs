//! Recording what a task did: the result, its effect on the job, the successors, and the events, in one transaction.

use reelway_domain::{Change, JobState, NewTask, RenditionInfo, SourceInfo, TaskId, TaskState};

use crate::{
    Catalog, Error, Fenced, Published, Task,
    claim::task_change,
    layout::{Layout, Scope},
    sql::Sql,
    tx::Tx,
    webhook::Told,
};

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
    /// More of a source that grows is known: its plan, and the tasks that make the rest. Not told as a plan again unless what
    /// will be made has changed.
    Extended {
        /// The plan as far as it reaches now.
        plan: String,
        /// What the source is, as far as it is known.
        source: SourceInfo,
        /// What will be made.
        renditions: Vec<RenditionInfo>,
        /// The tasks that are new.
        tasks: Vec<NewTask>,
    },
    /// The source turned out to be another one than was planned for: what was made and what is under way is thrown away, and
    /// everything after the probe and the plan is laid out anew.
    Replanned {
        /// The new plan.
        plan: String,
        /// What the source really is.
        source: SourceInfo,
        /// What will be made.
        renditions: Vec<RenditionInfo>,
        /// All tasks that make it. They may come after the probe, the plans, and the task whose effect this is.
        tasks: Vec<NewTask>,
    },
    /// Players may see all of it from here on.
    Published(Published),
    /// Everything was made and counted.
    Finished,
}

static PROBED: Sql = Sql::new("UPDATE jobs SET source = $2 WHERE id = $1 AND state = 'running'");
static FINISHED: Sql =
    Sql::new("UPDATE jobs SET state = 'succeeded', finished_at_ms = {now} WHERE id = $1 AND state = 'running'");

/// What became of an effect on a job that runs.
#[derive(Default)]
pub(crate) struct Applied {
    /// What is to be told, if anything.
    pub(crate) change: Option<Change>,
    /// Tasks that are new and wait for no other.
    pub(crate) free: Vec<TaskId>,
}

impl Catalog {
    /// Records a task's success under its lease. All of it happens, or nothing.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn succeed(&self, task: &Task, result: &str, effect: &Effect) -> Result<Fenced, Error> {
        let mut tx = self.begin().await?;
        let layout = effect.layout();
        if let Some(layout) = &layout {
            self.prepare_layout(&mut tx, task.job, layout).await?;
        }
        if *effect == Effect::Finished {
            // Uploads are locked before tasks.
            self.wish_for_source(&mut tx, task.job).await?;
        }
        // New successors are inserted after this, so they don't count their finished predecessor.
        let recorded = self.record(&mut tx, &[(task, result)]).await?;
        if recorded.done.is_empty() {
            return Ok(Fenced::LeaseLost);
        }
        let applied = match layout {
            Some(layout) => self.lay_out(&mut tx, task, &layout).await?,
            None => self.apply(&mut tx, task, effect).await?,
        };
        // The job has ended, so nothing may happen.
        let Some(applied) = applied else {
            return Ok(Fenced::LeaseLost);
        };
        if *effect == Effect::Finished {
            self.leave_webhook(&mut tx, Told::JobSucceeded(task.job)).await?;
        }
        let mut changes = vec![task_change(task, TaskState::Succeeded)];
        changes.extend(applied.change);
        self.append_events(&mut tx, task.job, &changes).await?;
        let free: Vec<TaskId> = recorded.released.into_iter().chain(applied.free).collect();
        self.wake_for_tasks(&mut tx, &free).await?;
        self.commit(tx).await?;
        Ok(Fenced::Done)
    }

    /// Changes the job as a task without successors of its own says; `None` if it doesn't run.
    async fn apply(&self, tx: &mut Tx, task: &Task, effect: &Effect) -> Result<Option<Applied>, Error> {
        let job = task.job.to_string();
        let (update, change) = match effect {
            Effect::Probed(source) => {
                let update = sqlx::query(PROBED.on(self.dialect))
                    .bind(job)
                    .bind(serde_json::to_string(source)?);
                (update, None)
            }
            Effect::Finished => {
                let succeeded = Change::JobState {
                    state: JobState::Succeeded,
                    error: None,
                };
                (sqlx::query(FINISHED.on(self.dialect)).bind(job), Some(succeeded))
            }
            Effect::Published(published) => return self.publish_whole(tx, task.job, published).await,
            Effect::None | Effect::Planned { .. } | Effect::Extended { .. } | Effect::Replanned { .. } => {
                return Ok(Some(Applied::default()));
            }
        };
        let updated = update.execute(&mut ***tx).await?;
        let free = Vec::new();
        Ok((updated.rows_affected() == 1).then_some(Applied { change, free }))
    }
}

impl Effect {
    /// The tasks that it lays out, if it does.
    fn layout(&self) -> Option<Layout<'_>> {
        let (scope, plan, source, renditions, tasks) = match self {
            Self::Planned {
                plan,
                source,
                renditions,
                tasks,
            } => (Scope::First, plan, source, renditions, tasks),
            Self::Extended {
                plan,
                source,
                renditions,
                tasks,
            } => (Scope::More, plan, source, renditions, tasks),
            Self::Replanned {
                plan,
                source,
                renditions,
                tasks,
            } => (Scope::Anew, plan, source, renditions, tasks),
            Self::None | Self::Probed(_) | Self::Published(_) | Self::Finished => return None,
        };
        Some(Layout {
            scope,
            plan,
            source,
            renditions,
            tasks,
        })
    }
}
