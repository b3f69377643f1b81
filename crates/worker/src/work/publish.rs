//! Showing what is made while the rest is still being made.
//!
//! Whoever finished a piece reads what there is from the start on, writes playlists under a key of its own claim, and offers
//! them; the catalog takes them if they hold more than what is published. Nothing depends on it: if a worker dies between
//! its success and this, the next success shows both, and the package task everything.

use reelway_blob::{KeyError, OutputKey};
use reelway_catalog::{Published, Task};
use reelway_domain::{Failure, LeaseEpoch, TaskKind, TaskState};
use reelway_media::{self as media, Growing, Plan, VideoPlan};

use super::{
    Job,
    audio::RUNS_PER_TRACK,
    internal,
    package::write,
    prefix,
    results::{all_tasks, made, result},
    trial,
};

/// Each piece of the first minute is shown at once.
const AT_ONCE_TICKS: i64 = 60 * media::TICKS_PER_SECOND;
/// After that, what is shown grows by one part in so many. So the playlists of a long film, which are written anew each
/// time, cost no more in all than a few times their final size.
const GROWTH_PARTS: usize = 8;

/// Publishes what can be played after a task has succeeded. A failure is logged: it is not the task's.
pub(crate) async fn after(job: &Job) {
    match publish(job).await {
        Ok(true) => {
            tracing::debug!(job.id = %job.claim.job.id, task.id = %job.claim.task.id, "published what can be played");
        }
        Err(media::Error::Failed { failure, .. }) => tracing::warn!(
            job.id = %job.claim.job.id, reason = %failure.reason, message = failure.message, "could not publish"
        ),
        Ok(false) | Err(media::Error::Cancelled) => {}
    }
}

async fn publish(job: &Job) -> Result<bool, media::Error> {
    let task = &job.claim.task;
    if !is_piece(task.kind) {
        return Ok(false);
    }
    let plan = job.plan()?.plan;
    if !is_due(&plan, task) {
        return Ok(false);
    }
    let tasks = all_tasks(job).await?;
    // Whoever has laid out everything anew has thrown this piece away.
    if !tasks.iter().any(|t| t.id == task.id && t.state == TaskState::Succeeded) {
        return Ok(false);
    }
    let Some(mut growing) = media::package_growing(&plan, &made(&tasks)?)? else {
        return Ok(false);
    };
    trial::describe(&tasks, &mut growing.renditions)?;
    offer(job, growing, result(&tasks, TaskKind::Poster)?).await
}

async fn offer(job: &Job, growing: Growing, poster_key: Option<String>) -> Result<bool, media::Error> {
    let (catalog, claim) = (&job.worker.catalog, &job.claim);
    let known = catalog
        .job(&claim.job.tenant, claim.job.id)
        .await
        .map_err(Failure::from)?;
    if known.is_none_or(|known| known.published_segments >= growing.segments) {
        return Ok(false);
    }
    let prefix = growing_prefix(&claim.task, claim.task.lease_epoch).map_err(|error| internal(&error))?;
    write(job, &prefix, growing.playlists).await?;
    let published = Published {
        renditions: growing.renditions,
        prefix: prefix.to_string(),
        poster_key,
        download_key: None,
        manifest_name: None,
        storyboard_name: None,
        missing_frames: 0,
    };
    let taken = catalog.publish_growing(&claim.task, &published, growing.segments).await;
    let taken = taken.map_err(Failure::from)?;
    if !taken {
        job.output.remove_prefix(&prefix).await.map_err(Failure::from)?;
    }
    Ok(taken)
}

/// Where one claim of a task puts the playlists of what was there when it was done. They outlive the claim's own outputs,
/// which are removed if it doesn't count.
fn growing_prefix(task: &Task, epoch: LeaseEpoch) -> Result<OutputKey, KeyError> {
    format!("growing-{}", prefix(task, epoch)?).parse()
}

/// Whether tasks of a kind make what is published while it grows.
fn is_piece(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Lead | TaskKind::Video | TaskKind::Audio)
}

/// Whether what is there is looked at after this task: always within the first minute, and then at places that lie an eighth
/// apart. Pieces are made about in order, so that is about how what is shown grows.
fn is_due(plan: &Plan, task: &Task) -> bool {
    let Ok(index) = usize::try_from(task.index) else {
        return false;
    };
    match task.kind {
        TaskKind::Lead => true,
        TaskKind::Audio => is_milestone(index % RUNS_PER_TRACK),
        _ => is_milestone(index) || plan.video.as_ref().is_some_and(|video| is_early(video, index)),
    }
}

fn is_early(video: &VideoPlan, chunk: usize) -> bool {
    video
        .chunks
        .get(chunk)
        .is_some_and(|chunk| chunk.start_ticks() < AT_ONCE_TICKS)
}

/// Whether a number is one of 0, 1, 2, …, 16, 18, 20, 22, 24, 27, …: each an eighth larger than the one before it.
fn is_milestone(number: usize) -> bool {
    let next = |n: &usize| n.checked_add((n / GROWTH_PARTS).max(1));
    std::iter::successors(Some(0), next).find(|milestone| *milestone >= number) == Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_all_of_a_film_costs_a_few_times_its_size() {
        assert!((0..=16).all(is_milestone));
        assert_eq!(
            (17..=30).filter(|n| is_milestone(*n)).collect::<Vec<_>>(),
            [18, 20, 22, 24, 27, 30]
        );
        let written: usize = (0..10_000).filter(|n| is_milestone(*n)).sum();
        assert!(written < 10 * 10_000, "{written}");
    }
}
