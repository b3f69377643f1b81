//! Which bytes of the source a task reads beside its index: it can begin when they are there.

use reelway_catalog::Task;
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
    media_ranges(plan, kind, index)
}

/// The same for an attempt at it. Of a source that is made of pieces, a second attempt reads all of them up to its own: whatever the
/// first one failed by isn't that some were left out.
pub(super) fn ranges_of(plan: &Plan, task: &Task) -> Option<Vec<ByteRange>> {
    let ranges = ranges(plan, task.kind, task.index)?;
    if plan.view == PlanView::Prefix && task.attempt > 1 {
        return Some(from_start(&ranges));
    }
    Some(ranges)
}

fn from_start(ranges: &[ByteRange]) -> Vec<ByteRange> {
    let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    vec![ByteRange { start: 0, end }]
}

/// What a task of a plan reads of a source that is complete, its outline included; `None` if it needs all of it.
pub(super) fn windows(plan: &Plan, task: &Task) -> Option<Vec<ByteRange>> {
    if plan.view == PlanView::Prefix {
        return ranges(plan, task.kind, task.index).map(|ranges| from_start(&ranges));
    }
    if plan.index_bytes.is_empty() {
        return None;
    }
    let media = match task.kind {
        TaskKind::Lead | TaskKind::Video => {
            let index = usize::try_from(task.index).ok()?;
            vec![media::chunk_bytes(plan.video.as_ref()?, index, task.attempt)?]
        }
        kind => media_ranges(plan, kind, task.index)?,
    };
    Some([&plan.index_bytes[..], &media].concat())
}

fn media_ranges(plan: &Plan, kind: TaskKind, index: i32) -> Option<Vec<ByteRange>> {
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
