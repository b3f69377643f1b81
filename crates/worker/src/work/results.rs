//! What the tasks of a job recorded.

use reelway_catalog::Task;
use reelway_domain::{Failure, TaskKind, TaskState};
use reelway_media::{self as media, AudioPieces, ChunkPieces, Made, RunPieces};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Job, audio::RUNS_PER_TRACK, internal};

/// What the storyboard task recorded. Its pictures have keys of their own, which the text names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Storyboard {
    /// The text of the WebVTT file that stands beside the playlists.
    pub(super) vtt: String,
}

/// All tasks of the job, in the order of the plan.
pub(super) async fn all_tasks(job: &Job) -> Result<Vec<Task>, media::Error> {
    let tasks = job.worker.catalog.tasks(&job.claim.job.tenant, job.claim.job.id).await;
    Ok(tasks.map_err(Failure::from)?)
}

/// What players are shown of, as far as it is there.
pub(super) fn made(tasks: &[Task]) -> Result<Made, media::Error> {
    let mut chunks: Vec<ChunkPieces> = results(tasks, TaskKind::Video)?;
    chunks.extend(results(tasks, TaskKind::Lead)?);
    let mut audio = Vec::new();
    for task in succeeded(tasks, TaskKind::Audio) {
        let AudioPieces(pieces) = read(task)?;
        let index = usize::try_from(task.index).map_err(|error| internal(&error))?;
        audio.push(RunPieces {
            track: index / RUNS_PER_TRACK,
            run: index % RUNS_PER_TRACK,
            pieces,
        });
    }
    Ok(Made {
        chunks,
        audio,
        subtitles: results(tasks, TaskKind::Subtitles)?,
    })
}

/// The results of all tasks of a kind that are done, in order.
pub(super) fn results<T: DeserializeOwned>(tasks: &[Task], kind: TaskKind) -> Result<Vec<T>, media::Error> {
    succeeded(tasks, kind).map(read).collect()
}

/// The result of the only task of a kind, if there is one and it is done.
pub(super) fn result<T: DeserializeOwned>(tasks: &[Task], kind: TaskKind) -> Result<Option<T>, media::Error> {
    succeeded(tasks, kind).next().map(read).transpose()
}

fn succeeded(tasks: &[Task], kind: TaskKind) -> impl Iterator<Item = &Task> {
    tasks
        .iter()
        .filter(move |task| task.kind == kind && task.state == TaskState::Succeeded)
}

fn read<T: DeserializeOwned>(task: &Task) -> Result<T, media::Error> {
    let result = task.result.as_deref();
    let result = result.ok_or_else(|| internal(&"a finished task has no result"))?;
    serde_json::from_str(result).map_err(|error| internal(&error).into())
}
