//! What each kind of task does. Outputs go under keys that hold the claim's epoch (invariant 5), so that a worker which
//! lost its lease writes where nobody looks.

mod audio;
mod download;
mod encode;
mod graph;
mod growing;
mod needs;
mod package;
mod pictures;
mod pieces;
mod prepare;
pub(crate) mod publish;
mod results;
mod subtitles;
mod trial;
mod verify;
mod view;
mod windows;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use reelway_blob::{JobOutput, OutputKey, RunPlace};
use reelway_catalog::{Claim, Effect, Task};
use reelway_domain::{Failure, LeaseEpoch, ReadyAt, Reason, Sample, TaskKind};
use reelway_media::{self as media, EncodeProgress, Plan, Urgency, VideoPlan, Workspace};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::view::{Sight, View};
use crate::{Worker, scratch};

/// Where a task works that is done once more, in its scratch directory.
const AGAIN: &str = "again";

/// What a task made.
pub(crate) struct Done {
    /// What the catalog records for the tasks that come after.
    pub(crate) result: String,
    /// What it means for the job.
    pub(crate) effect: Effect,
}

/// How a task that was not in vain ended.
pub(crate) enum Ended {
    /// It is done.
    Done(Done),
    /// It can't be done yet: so much of the upload must be there first.
    Postponed(ReadyAt),
}

/// The plan as it is stored with the job.
#[derive(Debug, Serialize, Deserialize)]
struct StoredPlan {
    plan: Plan,
    /// The key of the indexed copy that chunks are read from, if the upload itself can't be.
    mezzanine: Option<OutputKeyText>,
    /// The digest of the index that it was made from; `None` if it was made from the whole upload.
    #[serde(default)]
    index_digest: Option<String>,
}

impl StoredPlan {
    /// The video's plan, which every video and poster task has.
    fn video(&self) -> Result<&VideoPlan, media::Error> {
        Ok(self
            .plan
            .video
            .as_ref()
            .ok_or_else(|| internal(&"the plan has no video"))?)
    }
}

/// An output key as JSON.
type OutputKeyText = String;

/// One claim with what is needed to do it.
pub(crate) struct Job {
    pub(crate) claim: Claim,
    worker: Arc<Worker>,
    output: JobOutput,
    /// What the task reads; set before it begins.
    view: OnceLock<View>,
    /// What it reads after that was not enough: all of the source.
    whole: OnceLock<View>,
}

impl Job {
    pub(crate) fn new(worker: &Arc<Worker>, claim: Claim) -> Self {
        let output = worker.outputs.output(claim.job.id);
        Self {
            claim,
            worker: Arc::clone(worker),
            output,
            view: OnceLock::new(),
            whole: OnceLock::new(),
        }
    }

    /// The key of one of this claim's outputs.
    fn key(&self, name: &str) -> Result<OutputKey, media::Error> {
        let prefix = prefix(&self.claim.task, self.claim.task.lease_epoch);
        Ok(prefix
            .and_then(|prefix| prefix.join(name))
            .map_err(|error| internal(&error))?)
    }

    fn plan(&self) -> Result<StoredPlan, media::Error> {
        let text = self
            .claim
            .plan
            .as_deref()
            .ok_or_else(|| internal(&"the job has no plan yet"))?;
        Ok(serde_json::from_str(text).map_err(|error| internal(&error))?)
    }

    /// What the task reads.
    fn view(&self) -> Result<&View, media::Error> {
        let view = self.whole.get().or(self.view.get());
        Ok(view.ok_or_else(|| internal(&"the task reads no source"))?)
    }

    /// The upload as far as the task can see it.
    fn source_path(&self) -> Result<PathBuf, media::Error> {
        Ok(self.view()?.path.clone())
    }

    /// The file that chunks are read from.
    async fn source(&self, stored: &StoredPlan, scratch: &Path) -> Result<PathBuf, media::Error> {
        match &stored.mezzanine {
            None => self.source_path(),
            Some(key) => {
                let key: OutputKey = key.parse().map_err(|error| internal(&error))?;
                match self.output.place(&key) {
                    RunPlace::File(path) => Ok(path),
                    RunPlace::Object(object) => {
                        let copy = scratch.join("mezzanine");
                        self.worker.sources.copy(&object, &copy).await?;
                        Ok(copy)
                    }
                }
            }
        }
    }

    /// Whether every byte of what chunks are read from is there.
    fn has_whole_source(&self, stored: &StoredPlan) -> bool {
        let is_all = |view: &View| view.index.is_none() && view.windows.is_none();
        stored.mezzanine.is_some() || self.view().is_ok_and(is_all)
    }

    fn workspace<'b>(&'b self, source: &'b Path, scratch: &'b Path, cancel: &'b CancellationToken) -> Workspace<'b> {
        Workspace {
            tools: &self.worker.tools,
            source,
            scratch,
            cancel,
            urgency: urgency(&self.claim.task),
        }
    }

    /// Moves a finished file from the scratch directory to its key, durably.
    async fn keep(&self, name: &str, file: &Path) -> Result<OutputKey, media::Error> {
        let key = self.key(name)?;
        self.output.adopt(&key, file).await.map_err(Failure::from)?;
        Ok(key)
    }

    /// Tells watchers how far the task is.
    fn tell(&self, progress: &EncodeProgress) {
        self.worker.bus.sample(Sample::Task {
            job: self.claim.job.id,
            task: self.claim.task.id,
            lease_epoch: self.claim.task.lease_epoch.0,
            done_ms: progress.done_ms,
            speed: progress.speed,
        });
    }
}

/// Does a claimed task in its scratch directory, as far as it can be done by now.
pub(crate) async fn run(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Ended, media::Error> {
    let ended = look_and_make(job, scratch, cancel).await;
    let reason = ended.as_ref().err().and_then(|error| Some(error.failure()?.reason));
    if reason == Some(Reason::StorageFull) {
        // The next attempt finds more room.
        job.worker.sources.clear();
        job.worker.beginnings.clear();
    }
    ended
}

async fn look_and_make(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Ended, media::Error> {
    if reads_source(job)? {
        match unless_cancelled(cancel, view::of(job, scratch)).await? {
            Sight::NotYet(ready) => return Ok(Ended::Postponed(ready)),
            // A job is worked at once, so nothing was set before.
            Sight::Ready(view) => drop(job.view.set(view)),
        }
    }
    match make_what_is_due(job, scratch, cancel).await {
        Err(error) if job.may_see_more(&error) => {
            tracing::info!(%error, task.id = %job.claim.task.id, "task is done once more with all of its source");
            unless_cancelled(cancel, job.see_all(scratch)).await?;
            let scratch = scratch::below(scratch, AGAIN).await?;
            make_what_is_due(job, &scratch, cancel).await
        }
        ended => ended,
    }
}

/// What takes long to fetch is given up as soon as nobody waits for it.
async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, media::Error>>,
) -> Result<T, media::Error> {
    let done = cancel.run_until_cancelled(work).await;
    done.unwrap_or(Err(media::Error::Cancelled))
}

async fn make_what_is_due(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Ended, media::Error> {
    if job.claim.task.kind == TaskKind::Plan {
        return prepare::plan(job, scratch, cancel).await;
    }
    make(job, scratch, cancel).await.map(Ended::Done)
}

/// Whether a task reads the upload, and not only what others made.
fn reads_source(job: &Job) -> Result<bool, media::Error> {
    Ok(match job.claim.task.kind {
        TaskKind::Package | TaskKind::Finish | TaskKind::Storyboard | TaskKind::Download => false,
        TaskKind::Probe | TaskKind::Plan | TaskKind::Verify => true,
        TaskKind::Lead
        | TaskKind::Video
        | TaskKind::Audio
        | TaskKind::Trial
        | TaskKind::Poster
        | TaskKind::Subtitles => job.plan()?.mezzanine.is_none(),
    })
}

/// Does a task that has all it needs.
async fn make(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    match job.claim.task.kind {
        TaskKind::Probe => prepare::probe(job, scratch, cancel).await,
        // It may be too early for it, which `run` sees to.
        TaskKind::Plan => Err(internal(&"a plan is made by itself").into()),
        TaskKind::Lead => encode::lead(job, scratch, cancel).await,
        TaskKind::Video => encode::video(job, scratch, cancel).await,
        TaskKind::Audio => audio::audio(job, scratch, cancel).await,
        TaskKind::Poster => pictures::poster(job, scratch, cancel).await,
        TaskKind::Subtitles => subtitles::subtitles(job, scratch, cancel).await,
        TaskKind::Package => package::package(job).await,
        TaskKind::Finish => package::finish(job).await,
        TaskKind::Trial => trial::trial(job, scratch, cancel).await,
        TaskKind::Verify => verify::verify(job, scratch, cancel).await,
        TaskKind::Storyboard => pictures::storyboard(job, scratch, cancel).await,
        TaskKind::Download => download::download(job, scratch, cancel).await,
    }
}

/// How soon somebody waits for what a task makes. Playing begins with the first chunk of the smallest rung and the first run of
/// each sound, so they and what comes before them don't share the cores evenly with what is watched later.
fn urgency(task: &Task) -> Urgency {
    match task.kind {
        TaskKind::Probe => Urgency::Now,
        TaskKind::Plan | TaskKind::Lead if task.index == 0 => Urgency::Now,
        TaskKind::Audio if audio::is_first(task.index) => Urgency::Now,
        TaskKind::Plan | TaskKind::Lead | TaskKind::Audio | TaskKind::Verify => Urgency::Soon,
        TaskKind::Package | TaskKind::Finish | TaskKind::Subtitles => Urgency::Soon,
        TaskKind::Video | TaskKind::Trial | TaskKind::Poster | TaskKind::Storyboard | TaskKind::Download => {
            Urgency::Whenever
        }
    }
}

/// Removes the outputs of a claim that doesn't count.
pub(crate) async fn discard(worker: &Worker, task: &Task) {
    let Ok(prefix) = prefix(task, task.lease_epoch) else {
        return;
    };
    if let Err(error) = worker.outputs.output(task.job).remove_prefix(&prefix).await {
        tracing::warn!(%error, task.id = %task.id, "could not remove outputs that don't count");
    }
}

/// Where one claim of a task puts its outputs, for example `video-0003-e1`.
fn prefix(task: &Task, epoch: LeaseEpoch) -> Result<OutputKey, reelway_blob::KeyError> {
    format!("{}-{:04}-e{epoch}", task.kind, task.index).parse()
}

/// A defect, not the input's fault.
fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Reason::Internal, error.to_string())
}

fn json<T: Serialize>(value: &T) -> Result<String, media::Error> {
    serde_json::to_string(value).map_err(|error| internal(&error).into())
}
