//! What each kind of task does. Outputs go under keys that hold the claim's epoch (invariant 5), so that a worker which
//! lost its lease writes where nobody looks.

mod encode;
mod package;
mod prepare;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use reelway_blob::{JobOutput, OutputKey};
use reelway_catalog::{Claim, Effect, Task};
use reelway_domain::{Failure, LeaseEpoch, Reason, Sample, TaskKind};
use reelway_media::{self as media, AudioPlan, EncodeProgress, Plan, VideoPlan, Workspace};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Worker;

/// What a task made.
pub(crate) struct Done {
    /// What the catalog records for the tasks that come after.
    pub(crate) result: String,
    /// What it means for the job.
    pub(crate) effect: Effect,
}

/// The plan as it is stored with the job.
#[derive(Debug, Serialize, Deserialize)]
struct StoredPlan {
    plan: Plan,
    /// The key of the indexed copy that chunks are read from, if the upload itself can't be.
    mezzanine: Option<OutputKeyText>,
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

    /// The audio's plan, which every audio task has.
    fn audio(&self) -> Result<&AudioPlan, media::Error> {
        Ok(self
            .plan
            .audio
            .as_ref()
            .ok_or_else(|| internal(&"the plan has no audio"))?)
    }
}

/// An output key as JSON.
type OutputKeyText = String;

/// One claim with what is needed to do it.
pub(crate) struct Job {
    pub(crate) claim: Claim,
    worker: Arc<Worker>,
    output: JobOutput,
}

impl Job {
    pub(crate) fn new(worker: &Arc<Worker>, claim: Claim) -> Self {
        let output = worker.store.output(claim.job.id);
        Self {
            claim,
            worker: Arc::clone(worker),
            output,
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

    fn upload_path(&self) -> PathBuf {
        let upload = &self.claim.upload;
        self.worker.store.upload_path(upload.id, upload.file_epoch)
    }

    /// The file that chunks are read from.
    fn source(&self, stored: &StoredPlan) -> Result<PathBuf, media::Error> {
        match &stored.mezzanine {
            None => Ok(self.upload_path()),
            Some(key) => {
                let key: OutputKey = key.parse().map_err(|error| internal(&error))?;
                Ok(self.output.path(&key))
            }
        }
    }

    fn workspace<'b>(&'b self, source: &'b Path, scratch: &'b Path, cancel: &'b CancellationToken) -> Workspace<'b> {
        Workspace {
            tools: &self.worker.tools,
            source,
            scratch,
            cancel,
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

/// Does a claimed task in its scratch directory.
pub(crate) async fn run(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    match job.claim.task.kind {
        TaskKind::Probe => prepare::probe(job, scratch, cancel).await,
        TaskKind::Plan => prepare::plan(job, scratch, cancel).await,
        TaskKind::Video => encode::video(job, scratch, cancel).await,
        TaskKind::Audio => encode::audio(job, scratch, cancel).await,
        TaskKind::Poster => encode::poster(job, scratch, cancel).await,
        TaskKind::Package => package::package(job).await,
        TaskKind::Finish => package::finish(job).await,
    }
}

/// Removes the outputs of a claim that doesn't count.
pub(crate) async fn discard(worker: &Worker, task: &Task) {
    let Ok(prefix) = prefix(task, task.lease_epoch) else {
        return;
    };
    if let Err(error) = worker.store.output(task.job).remove_prefix(&prefix).await {
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
