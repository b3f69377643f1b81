//! Writing the playlists, counting the sums, and cleaning up behind the job.

use reelway_catalog::{Effect, Published, Task};
use reelway_domain::{Failure, LeaseEpoch, Reason, TaskKind, TaskState};
use reelway_media::{self as media, AudioPieces, ChunkPieces};
use serde::{Serialize, de::DeserializeOwned};

use super::{Done, Job, internal, json, prefix};

/// What the package task counted, for the finish task to hold against the plan.
#[derive(Debug, Serialize, serde::Deserialize)]
struct Counted {
    frames_planned: i64,
    frames_missing: i64,
}

pub(super) async fn package(job: &Job) -> Result<Done, media::Error> {
    let plan = job.plan()?.plan;
    let tasks = all_tasks(job).await?;
    let chunks: Vec<ChunkPieces> = results(&tasks, TaskKind::Video)?;
    let audio: Vec<AudioPieces> = results(&tasks, TaskKind::Audio)?;
    let poster: Vec<String> = results(&tasks, TaskKind::Poster)?;
    let package = media::package(&plan, &chunks, audio.first())?;
    for playlist in package.playlists {
        job.output
            .write(&job.key(&playlist.name)?, playlist.text.into())
            .await
            .map_err(Failure::from)?;
    }
    let counted = Counted {
        frames_planned: package.frames_planned,
        frames_missing: package.frames_missing,
    };
    let task = &job.claim.task;
    let effect = Effect::Published(Published {
        renditions: package.renditions,
        prefix: prefix(task, task.lease_epoch)
            .map_err(|error| internal(&error))?
            .to_string(),
        poster_key: poster.into_iter().next(),
        missing_frames: package.frames_missing,
    });
    Ok(Done {
        result: json(&counted)?,
        effect,
    })
}

/// The last word: what was made and what is missing add up to what the source has (invariant 7).
pub(super) async fn finish(job: &Job) -> Result<Done, media::Error> {
    let source_frames = job.plan()?.plan.source.frames;
    let tasks = all_tasks(job).await?;
    let counted: Vec<Counted> = results(&tasks, TaskKind::Package)?;
    let counted = counted
        .first()
        .ok_or_else(|| internal(&"the package task has no result"))?;
    let chunks: Vec<ChunkPieces> = results(&tasks, TaskKind::Video)?;
    let rungs = chunks.first().map_or(0, |chunk| chunk.renditions.len());
    for rung in 0..rungs {
        let pieces = chunks
            .iter()
            .filter_map(|chunk| chunk.renditions.get(rung))
            .flat_map(|set| &set.pieces);
        let made: i64 = pieces.map(|piece| piece.frames).sum();
        if made + counted.frames_missing != counted.frames_planned || counted.frames_planned != source_frames {
            let message = format!(
                "rendition {rung}: {made} frames made and {} missing are not the source's {source_frames}",
                counted.frames_missing
            );
            return Err(Failure::new(Reason::OutputShort, message).into());
        }
    }
    sweep(job, &tasks).await;
    Ok(Done {
        result: "{}".to_owned(),
        effect: Effect::Finished,
    })
}

/// Removes what no player will ask for: the outputs of earlier claims, and the indexed copy of the source.
async fn sweep(job: &Job, tasks: &[Task]) {
    for task in tasks {
        let keep_newest = task.kind != TaskKind::Plan;
        let newest = task.lease_epoch.0 - i64::from(keep_newest);
        for epoch in 1..=newest {
            let removed = match prefix(task, LeaseEpoch(epoch)) {
                Ok(prefix) => job
                    .output
                    .remove_prefix(&prefix)
                    .await
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = removed {
                tracing::warn!(error, task.id = %task.id, "could not remove outputs that don't count");
            }
        }
    }
}

async fn all_tasks(job: &Job) -> Result<Vec<Task>, media::Error> {
    let tasks = job.worker.catalog.tasks(&job.claim.job.tenant, job.claim.job.id).await;
    Ok(tasks.map_err(Failure::from)?)
}

/// The results of all tasks of a kind, in order.
fn results<T: DeserializeOwned>(tasks: &[Task], kind: TaskKind) -> Result<Vec<T>, media::Error> {
    tasks
        .iter()
        .filter(|task| task.kind == kind && task.state == TaskState::Succeeded)
        .map(|task| {
            let result = task
                .result
                .as_deref()
                .ok_or_else(|| internal(&"a finished task has no result"))?;
            serde_json::from_str(result).map_err(|error| internal(&error).into())
        })
        .collect()
}
