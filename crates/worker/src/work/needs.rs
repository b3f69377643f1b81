//! Which bytes of the source a task reads beside its index: it can begin when they are there.

use reelway_domain::{Offset, ReadyAt, TaskKind};
use reelway_media::{self as media, ByteRange, ChunkPlan, Plan, PlanView, VideoPlan};

use super::audio::RUNS_PER_TRACK;

/// The poster is taken after one part in so many of the video.
const POSTER_PART: i64 = 10;

/// The media data that a task of a plan reads; `None` if it needs the whole source.
pub(super) fn ranges(plan: &Plan, kind: TaskKind, index: i32) -> Option<Vec<ByteRange>> {
    if plan.view == PlanView::Whole {
        return None;
    }
    if plan.view == PlanView::Prefix {
        let is_laid_out = matches!(kind, TaskKind::Lead | TaskKind::Video | TaskKind::Audio);
        return is_laid_out.then(|| plan.index_bytes.clone());
    }
    let index = usize::try_from(index).ok()?;
    match kind {
        TaskKind::Lead | TaskKind::Video => chunk(plan.video.as_ref()?, index).map(|bytes| vec![bytes]),
        TaskKind::Audio => {
            let audio = plan.audios.get(index / RUNS_PER_TRACK)?;
            audio.runs.get(index % RUNS_PER_TRACK)?.bytes.map(|bytes| vec![bytes])
        }
        TaskKind::Trial => {
            let video = plan.video.as_ref()?;
            media::trial_chunks(plan)
                .into_iter()
                .map(|index| chunk(video, index))
                .collect()
        }
        TaskKind::Poster => poster(plan.video.as_ref()?),
        _ => None,
    }
}

/// When a task of a plan can begin.
pub(super) fn ready_at(plan: &Plan, kind: TaskKind, index: i32) -> ReadyAt {
    let ranges = ranges(plan, kind, index);
    let end = ranges.and_then(|ranges| ranges.iter().map(|range| range.end).max());
    end.and_then(|end| i64::try_from(end).ok())
        .map_or(ReadyAt::Complete, |end| ReadyAt::Offset(Offset(end)))
}

fn chunk(video: &VideoPlan, index: usize) -> Option<ByteRange> {
    video.chunks.get(index)?.bytes
}

/// The first chunk, whose first picture is taken if there is no other, and the one that the picture is in.
fn poster(video: &VideoPlan) -> Option<Vec<ByteRange>> {
    let ticks: i64 = video.chunks.iter().map(ChunkPlan::duration_ticks).sum();
    let at = ticks / POSTER_PART;
    let place = video.chunks.partition_point(|chunk| chunk.start_ticks() <= at);
    [0, place.saturating_sub(1)]
        .map(|index| chunk(video, index))
        .into_iter()
        .collect()
}
