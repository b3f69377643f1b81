//! Writing the playlists, counting the sums, and cleaning up behind the job.

use std::collections::HashSet;

use reelway_blob::OutputKey;
use reelway_catalog::{Effect, Published, Task};
use reelway_domain::{Failure, Reason, TaskKind, TaskState};
use reelway_media::{self as media, ChunkPieces, PlaylistFile};
use serde::Serialize;

use super::{
    Done, Job, internal, json, prefix,
    results::{Storyboard, all_tasks, made, result, results},
    trial,
};

/// The storyboard's name beside the playlists.
const STORYBOARD: &str = "storyboard.vtt";

/// What the package task counted, for the finish task to hold against the plan.
#[derive(Debug, Serialize, serde::Deserialize)]
struct Counted {
    frames_planned: i64,
    frames_missing: i64,
    /// The names of the playlists that were written.
    playlists: Vec<String>,
}

pub(super) async fn package(job: &Job) -> Result<Done, media::Error> {
    let plan = job.plan()?.plan;
    let tasks = all_tasks(job).await?;
    let mut package = media::package(&plan, &made(&tasks)?)?;
    trial::describe(&tasks, &mut package.renditions)?;
    let storyboard: Option<Storyboard> = result(&tasks, TaskKind::Storyboard)?;
    let storyboard_name = storyboard.is_some().then(|| STORYBOARD.to_owned());
    let storyboard = storyboard.map(|storyboard| PlaylistFile {
        name: STORYBOARD.to_owned(),
        text: storyboard.vtt,
    });
    package.playlists.splice(0..0, storyboard);
    let task = &job.claim.task;
    let prefix = prefix(task, task.lease_epoch).map_err(|error| internal(&error))?;
    let counted = Counted {
        frames_planned: package.frames_planned,
        frames_missing: package.frames_missing,
        playlists: package.playlists.iter().map(|file| file.name.clone()).collect(),
    };
    write(job, &prefix, package.playlists).await?;
    let effect = Effect::Published(Published {
        renditions: package.renditions,
        prefix: prefix.to_string(),
        poster_key: result(&tasks, TaskKind::Poster)?,
        download_key: result(&tasks, TaskKind::Download)?,
        manifest_name: Some(media::MANIFEST.to_owned()),
        storyboard_name,
        missing_frames: package.frames_missing,
    });
    Ok(Done {
        result: json(&counted)?,
        effect,
    })
}

/// Writes playlists under a prefix, in this order.
pub(super) async fn write(job: &Job, prefix: &OutputKey, playlists: Vec<PlaylistFile>) -> Result<(), media::Error> {
    for playlist in playlists {
        let key = prefix.join(&playlist.name).map_err(|error| internal(&error))?;
        job.output
            .write(&key, playlist.text.into())
            .await
            .map_err(Failure::from)?;
    }
    Ok(())
}

/// The last word: what was made and what is missing add up to what the source has, and what players will read keeps the
/// rules (invariant 7).
pub(super) async fn finish(job: &Job) -> Result<Done, media::Error> {
    let plan = job.plan()?.plan;
    let tasks = all_tasks(job).await?;
    let counted: Option<Counted> = result(&tasks, TaskKind::Package)?;
    let counted = counted.ok_or_else(|| internal(&"the package task has no result"))?;
    let mut chunks: Vec<ChunkPieces> = results(&tasks, TaskKind::Video)?;
    chunks.extend(results(&tasks, TaskKind::Lead)?);
    for rung in plan.video.iter().flat_map(|video| &video.rungs) {
        let sets = chunks.iter().flat_map(|chunk| &chunk.renditions);
        let own = sets.filter(|set| set.rendition == rung.name);
        let made: i64 = own.flat_map(|set| &set.pieces).map(|piece| piece.frames).sum();
        let (planned, missing, source) = (counted.frames_planned, counted.frames_missing, plan.source.frames);
        // Other rungs may lack less than the one that lacks most.
        if made + missing < planned || made > planned || planned != source {
            let name = &rung.name;
            let message = format!("{name}: {made} frames made and {missing} missing are not the source's {source}");
            return Err(Failure::new(Reason::OutputShort, message).into());
        }
    }
    check_stored(job, &tasks, &counted.playlists).await?;
    sweep(job, &tasks).await;
    Ok(Done {
        result: "{}".to_owned(),
        effect: Effect::Finished,
    })
}

/// Reads the playlists again as players will, and holds them against the rules.
async fn check_stored(job: &Job, tasks: &[Task], names: &[String]) -> Result<(), media::Error> {
    let task = tasks.iter().find(|task| task.kind == TaskKind::Package);
    let task = task.ok_or_else(|| internal(&"there is no package task"))?;
    let prefix = prefix(task, task.lease_epoch).map_err(|error| internal(&error))?;
    let mut stored = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".m3u8")) {
        let key = prefix.join(name).map_err(|error| internal(&error))?;
        let text = job.output.read(&key).await.map_err(Failure::from)?;
        stored.push((name.as_str(), String::from_utf8_lossy(&text).into_owned()));
    }
    let files: Vec<(&str, &str)> = stored.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let violations = media::playlist::violations(media::MASTER_PLAYLIST, &files);
    if violations.is_empty() {
        return Ok(());
    }
    let message = format!("stored playlists break rules: {}", violations.join("; "));
    Err(Failure::new(Reason::Internal, message).into())
}

/// Removes what no player will ask for: what claims made that don't count, what earlier plans laid out, the playlists of when
/// less was there, and the indexed copies of the source. What is left goes with the job.
async fn sweep(job: &Job, tasks: &[Task]) {
    let id = &job.claim.job.id;
    let left = match leftovers(job, tasks).await {
        Ok(left) => left,
        Err(failure) => {
            return tracing::warn!(job.id = %id, message = failure.message, "could not look for outputs that don't count");
        }
    };
    for prefix in left {
        if let Err(error) = job.output.remove_prefix(&prefix).await {
            tracing::warn!(%error, job.id = %id, "could not remove outputs that don't count");
        }
    }
}

async fn leftovers(job: &Job, tasks: &[Task]) -> Result<Vec<OutputKey>, Failure> {
    let kept = kept(job, tasks).await?;
    let mut prefixes = job.output.prefixes().await?;
    prefixes.retain(|prefix| !kept.contains(prefix.as_str()));
    Ok(prefixes)
}

/// The prefixes of what counts: all that the tasks of the plan made, and whatever players are shown.
async fn kept(job: &Job, tasks: &[Task]) -> Result<HashSet<String>, Failure> {
    let counts = |task: &&Task| {
        let is_copy_of_source = matches!(task.kind, TaskKind::Plan | TaskKind::Verify);
        task.state == TaskState::Succeeded && !is_copy_of_source
    };
    let mut kept = HashSet::new();
    for task in tasks.iter().filter(counts) {
        let prefix = prefix(task, task.lease_epoch).map_err(|error| internal(&error))?;
        kept.insert(prefix.to_string());
    }
    let shown = job.worker.catalog.playback(job.claim.job.id).await?;
    let keys = shown.map(|shown| [Some(shown.prefix), shown.poster_key, shown.download_key]);
    for key in keys.into_iter().flatten().flatten() {
        kept.extend(key.split('/').next().map(str::to_owned));
    }
    Ok(kept)
}
