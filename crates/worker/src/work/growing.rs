//! Planning a source that is made of pieces while they arrive. The first plan lays out what of the beginning will be the same whatever
//! follows; each plan task lays out the next one, which reaches further, until one sees all of the source.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_domain::ReadyAt;
use reelway_media::{self as media, Plan, Probe, Workspace};
use tokio_util::sync::CancellationToken;

use super::{
    Done, Ended, Job, StoredPlan, graph, internal,
    prepare::{Laid, laid, look, whole},
    view::{self, View},
};
use crate::scratch;

/// A plan reaches further when one part in so many more of the source is there, so that planning again and again costs no more than
/// a few readings of the source.
const GROWTH_PARTS: u64 = 8;
/// Of a longer beginning, all that follows is planned when all of it is there: each plan reads all of the beginning, from a copy on the
/// worker's disk.
const BEGINNING_BYTES_MAX: u64 = 2 << 30;

/// Plans the beginning of a source of which nothing is planned, or says when that can be tried again.
pub(super) async fn first(
    job: &Job,
    work: &Workspace<'_>,
    probe: &Probe,
) -> Result<Result<Laid, ReadyAt>, media::Error> {
    let view = job.view()?;
    let plan = media::make_beginning_plan(work, probe, &job.claim.job.ladder, None).await?;
    let Some(plan) = plan else {
        let end = end(view)?;
        return Ok(Err(view::later(end, u64::MAX, end)));
    };
    let seen = view::seen_of(view.path.clone(), plan.index_bytes.clone()).await?;
    let next = graph::next_plan(0, next_look(job, &plan, end(view)?));
    let mut laid = laid(job, plan.clone(), None, Some(seen.digest))?;
    laid.tasks = graph::beginning_tasks(&plan)?;
    laid.tasks.push(next);
    Ok(Ok(laid))
}

/// Plans more of a source of which the beginning is planned: all of it once it is there.
pub(super) async fn plan(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Ended, media::Error> {
    let view = job.view()?;
    if view.index.is_none() {
        return rest(job, scratch, cancel).await.map(Ended::Done);
    }
    let before = job.plan()?;
    if !view.is_beginning {
        return Ok(Ended::Postponed(ReadyAt::Complete));
    }
    let work = job.workspace(&view.path, scratch, cancel);
    let probe = look(&work, view).await?;
    let plan = media::make_beginning_plan(&work, &probe, &job.claim.job.ladder, Some(&before.plan)).await?;
    // What goes on otherwise than it began is left to the last plan.
    let Some(plan) = plan else {
        return Ok(Ended::Postponed(next_look(job, &before.plan, end(view)?)));
    };
    let mut tasks = graph::without_those_of(&before.plan, graph::beginning_tasks(&plan)?)?;
    let next = next_look(job, &plan, end(view)?);
    tasks.push(graph::next_plan(job.claim.task.index, next));
    let laid = Laid {
        tasks,
        ..laid(job, plan, None, before.index_digest)?
    };
    Ok(Ended::Done(done(extended(laid))))
}

/// Plans all of a source whose beginning is planned. If it begins so, the rest is laid out behind what there is; otherwise everything
/// is made anew.
async fn rest(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let (source, StoredPlan { plan: before, .. }) = (job.source_path()?, job.plan()?);
    let work = job.workspace(&source, scratch, cancel);
    let probe = media::probe(&work).await?;
    let plan = media::make_further_plan(&work, &probe, &job.claim.job.ladder, &before).await?;
    if before.is_beginning_of(&plan) {
        let mut laid = laid(job, plan, None, None)?;
        laid.tasks = graph::without_those_of(&before, laid.tasks)?;
        return Ok(done(extended(laid)));
    }
    tracing::info!(job.id = %job.claim.job.id, "the file goes on otherwise than it began, all is made anew");
    let laid = whole(job, &probe, scratch, cancel).await?;
    Ok(done(Effect::Replanned {
        plan: laid.plan,
        source: laid.source,
        renditions: laid.renditions,
        tasks: laid.tasks,
    }))
}

/// Keeps what a task has seen of a source's beginning for the next look at it. Of a complete source there is none.
pub(super) async fn keep_seen(job: &Job) -> Result<(), media::Error> {
    let view = job.view()?;
    let (worker, upload) = (job.worker.clone(), job.claim.upload.id);
    let kept = if view.index.is_none() {
        tokio::task::spawn_blocking(move || worker.beginnings.forget(upload)).await
    } else if view.is_beginning {
        let (path, bytes, name) = (view.path.clone(), end(view)?, scratch::name(&job.claim.task));
        tokio::task::spawn_blocking(move || worker.beginnings.keep(upload, &path, bytes, &name)).await
    } else {
        Ok(())
    };
    Ok(kept.map_err(|error| internal(&error))?)
}

/// When more can be planned than by a plan of so much: with another part, and at least another segment.
fn next_look(job: &Job, plan: &Plan, end: u64) -> ReadyAt {
    if end > BEGINNING_BYTES_MAX {
        return ReadyAt::Complete;
    }
    let known_ms = plan.source.duration_ms.max(1).unsigned_abs();
    let segment = u128::from(end) * u128::from(plan.segment_ms.unsigned_abs()) / u128::from(known_ms);
    let more = u64::try_from(segment).unwrap_or(u64::MAX).max(end / GROWTH_PARTS);
    let limit = job.claim.upload.size.map_or(u64::MAX, i64::unsigned_abs);
    view::at_offset(end.saturating_add(more), limit)
}

/// How much of a source a view of its beginning shows.
fn end(view: &View) -> Result<u64, media::Error> {
    let ranges = view.index.as_ref().map_or(&[][..], |index| &index.ranges);
    let end = ranges.iter().map(|range| range.end).max();
    end.ok_or_else(|| internal(&"a beginning has no end").into())
}

fn extended(laid: Laid) -> Effect {
    Effect::Extended {
        plan: laid.plan,
        source: laid.source,
        renditions: laid.renditions,
        tasks: laid.tasks,
    }
}

fn done(effect: Effect) -> Done {
    Done {
        result: "{}".to_owned(),
        effect,
    }
}
