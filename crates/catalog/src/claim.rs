//! Claiming tasks (invariant 5): which ones, for whom, and what a worker gets with them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use reelway_domain::{Change, JobId, JobState, TaskState, UploadId, WorkerId};
use serde::Serialize;

use crate::{
    Catalog, Error, Job, Task, Upload,
    row::Columns,
    sql::{Sql, list},
    tx::Tx,
    upload::millis,
};

/// A task that this worker has, with what it needs to do it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The task; its `lease_epoch` is this claim's.
    pub task: Task,
    /// Its job.
    pub job: Job,
    /// The source.
    pub upload: Upload,
    /// The plan, as the plan task recorded it.
    pub plan: Option<String>,
}

/// For how long a heavy task that is due is passed over for lighter ones, in milliseconds. After that this worker takes
/// nothing that is due later, so that its memory becomes free.
const PASSED_OVER_MAX_MS: i64 = 30_000;

static CLAIM: Sql = Sql::new(
    // MATERIALIZED: evaluated once, or Postgres might lock and take more than the limit. What is too heavy is passed over, unless
    // it is long due: then it stands in the way of what comes after it.
    "WITH taken AS MATERIALIZED (
        SELECT t.id, t.due_ms, t.memory_mib
        FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
        WHERE {claimable} AND t.run_at_ms <= {now} AND (t.memory_mib <= $4 OR t.due_ms < {now} - $5)
        ORDER BY t.due_ms, t.id LIMIT $3 {skip_locked}),
     fitting AS MATERIALIZED (
        SELECT id, SUM(memory_mib) OVER (ORDER BY due_ms, id) AS memory_mib FROM taken)
     UPDATE tasks SET state = 'running', attempt = attempt + 1, lease_epoch = lease_epoch + 1, lease_owner = $1,
                      lease_expires_at_ms = {now} + $2, updated_at_ms = {now}
     WHERE id {in:SELECT id FROM fitting WHERE memory_mib <= $4} RETURNING {task}, due_ms",
);
static LOCK_JOBS: Sql = Sql::new("SELECT id, state FROM jobs WHERE id {in:$1} ORDER BY id {for_update}");
static START_JOBS: Sql = Sql::new(
    "WITH given AS MATERIALIZED (
        SELECT v.value ->> 'job' AS id, CAST(v.value ->> 'attempts' AS BIGINT) AS attempts,
               CAST(v.value ->> 'events' AS BIGINT) AS events FROM {rows:$1} AS v)
     UPDATE jobs SET attempts = attempts + (SELECT given.attempts FROM given WHERE given.id = jobs.id),
                     event_seq = event_seq + (SELECT given.events FROM given WHERE given.id = jobs.id),
                     state = 'running', started_at_ms = COALESCE(started_at_ms, {now}), updated_at_ms = {now}
     WHERE id {in:$2} AND state IN ('queued', 'running') RETURNING {job}, plan",
);
static UPLOADS: Sql =
    Sql::new("SELECT {upload} FROM uploads WHERE id IN (SELECT upload_id FROM jobs WHERE jobs.id {in:$1})");

/// How a job goes on when some of its tasks are claimed.
#[derive(Serialize)]
struct Start {
    job: JobId,
    attempts: usize,
    events: usize,
}

/// Jobs of claimed tasks, each with its plan.
type Started = HashMap<JobId, (Job, Option<String>)>;

impl Catalog {
    /// Takes the claimable task that is due first, if there is one.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn claim(&self, owner: WorkerId, ttl: Duration) -> Result<Option<Claim>, Error> {
        Ok(self.claim_batch(owner, ttl, 1, None).await?.pop())
    }

    /// Takes the claimable tasks that are due first, at most `count_max`, in one transaction: in that order, none if there are
    /// none. Together they take at most `memory_mib_max` MiB; `None` for any. If the answer is lost, nobody has them until
    /// their leases run out.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn claim_batch(
        &self,
        owner: WorkerId,
        ttl: Duration,
        count_max: usize,
        memory_mib_max: Option<i64>,
    ) -> Result<Vec<Claim>, Error> {
        let mut tx = self.begin().await?;
        let tasks = self.take_tasks(&mut tx, owner, ttl, count_max, memory_mib_max).await?;
        if tasks.is_empty() {
            // At once: what was too heavy is locked, and others would pass over it.
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let claims = self.start(&mut tx, tasks).await?;
        self.commit(tx).await?;
        Ok(claims)
    }

    async fn take_tasks(
        &self,
        tx: &mut Tx,
        owner: WorkerId,
        ttl: Duration,
        count_max: usize,
        memory_mib_max: Option<i64>,
    ) -> Result<Vec<Task>, Error> {
        let rows = sqlx::query(CLAIM.on(self.dialect))
            .bind(owner.to_string())
            .bind(millis(ttl))
            .bind(i64::try_from(count_max).unwrap_or(i64::MAX))
            .bind(memory_mib_max.unwrap_or(i64::MAX))
            .bind(PASSED_OVER_MAX_MS)
            .fetch_all(&mut ***tx)
            .await?;
        let due = |row| Ok((Columns(row).int("due_ms")?, Task::try_from(row)?));
        let mut tasks = rows.iter().map(due).collect::<Result<Vec<_>, Error>>()?;
        tasks.sort_by_key(|(due_ms, task)| (*due_ms, task.id));
        Ok(tasks.into_iter().map(|(_, task)| task).collect())
    }

    /// Starts the jobs of claimed tasks as far as they have not begun, and tells of that.
    async fn start(&self, tx: &mut Tx, tasks: Vec<Task>) -> Result<Vec<Claim>, Error> {
        let mut changes: BTreeMap<JobId, Vec<Change>> = BTreeMap::new();
        for task in &tasks {
            let of_job = changes.entry(task.job).or_default();
            of_job.push(task_change(task, TaskState::Running));
        }
        let uploads = self.uploads_of(tx, changes.keys()).await?;
        let states = self.lock_jobs(tx, changes.keys().collect()).await?;
        let jobs = self.start_jobs(tx, changes, &states).await?;
        let claim = |task: Task| {
            let gone = || Error::Corrupt(format!("{} has no job that goes on, or no upload", task.id));
            let (job, plan) = jobs.get(&task.job).ok_or_else(gone)?;
            let upload = uploads.get(&job.upload).ok_or_else(gone)?;
            Ok(Claim {
                task,
                job: job.clone(),
                upload: upload.clone(),
                plan: plan.clone(),
            })
        };
        tasks.into_iter().map(claim).collect()
    }

    /// Locks jobs before they are looked at, so that only one of several claims is a job's first.
    async fn lock_jobs(&self, tx: &mut Tx, jobs: BTreeSet<&JobId>) -> Result<HashMap<JobId, JobState>, Error> {
        let rows: Vec<(String, String)> = sqlx::query_as(LOCK_JOBS.on(self.dialect))
            .bind(list(jobs)?)
            .fetch_all(&mut ***tx)
            .await?;
        let state = |(job, state): (String, String)| Ok((job.parse()?, state.parse()?));
        rows.into_iter().map(state).collect()
    }

    /// Counts the attempts of locked jobs, and tells what changes. A job that was queued has one more thing to tell.
    async fn start_jobs(
        &self,
        tx: &mut Tx,
        mut changes: BTreeMap<JobId, Vec<Change>>,
        states: &HashMap<JobId, JobState>,
    ) -> Result<Started, Error> {
        let mut starts = Vec::with_capacity(changes.len());
        for (job, changes) in &mut changes {
            let attempts = changes.len();
            if states.get(job) == Some(&JobState::Queued) {
                let running = Change::JobState {
                    state: JobState::Running,
                    error: None,
                };
                changes.insert(0, running);
            }
            starts.push(Start {
                job: *job,
                attempts,
                events: changes.len(),
            });
        }
        if starts.is_empty() {
            return Ok(Started::new());
        }
        let rows = sqlx::query(START_JOBS.on(self.dialect))
            .bind(list(starts)?)
            .bind(list(changes.keys())?)
            .fetch_all(&mut ***tx)
            .await?;
        let mut jobs = Started::with_capacity(rows.len());
        for row in &rows {
            let job = Job::try_from(row)?;
            tx.push_events(row, changes.get(&job.id).map_or(&[], Vec::as_slice))?;
            jobs.insert(job.id, (job, Columns(row).text_or_null("plan")?));
        }
        Ok(jobs)
    }

    async fn uploads_of<'a>(
        &self,
        tx: &mut Tx,
        jobs: impl Iterator<Item = &'a JobId>,
    ) -> Result<HashMap<UploadId, Upload>, Error> {
        let rows = sqlx::query(UPLOADS.on(self.dialect))
            .bind(list(jobs)?)
            .fetch_all(&mut ***tx)
            .await?;
        let upload = |row| Upload::try_from(row).map(|upload| (upload.id, upload));
        rows.iter().map(upload).collect()
    }
}

pub(crate) fn task_change(task: &Task, state: TaskState) -> Change {
    Change::TaskState {
        task: task.id,
        task_kind: task.kind,
        index: task.index,
        state,
        attempt: task.attempt,
        error: None,
    }
}
