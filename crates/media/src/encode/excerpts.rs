//! Which parts of a source a trial encodes.

use crate::{ChunkPlan, Plan, PlanView, SegmentPlan, TICKS_PER_SECOND, VideoPlan};

/// A trial encodes at most one part in so many of the source; with what measuring takes, a fifth as much again, it is 2 % of
/// the work.
const WORK_PARTS: i64 = 60;
/// The most excerpts.
const EXCERPTS_MAX: i64 = 3;
/// How long one is, in milliseconds.
const EXCERPT_MS_MIN: i64 = 1000;
const EXCERPT_MS_MAX: i64 = 2000;
/// Of a shorter source no part is worth a trial, in milliseconds.
const SOURCE_MS_MIN: i64 = 60_000;
/// While a source arrives, a trial looks at so much of its beginning, in milliseconds: all rungs but the smallest wait for it.
const ARRIVED_MS: i64 = 16_000;

/// The chunks that a trial takes excerpts of: spread over the source, or over its beginning while it arrives. None if the
/// source is short or has one rung, whose cap stays the ladder's.
#[must_use]
pub fn trial_chunks(plan: &Plan) -> Vec<usize> {
    plan.video
        .as_ref()
        .map(|video| chunks(video, plan.view))
        .unwrap_or_default()
}

fn chunks(video: &VideoPlan, view: PlanView) -> Vec<usize> {
    let duration_ms = duration_ms(video);
    if duration_ms < SOURCE_MS_MIN || video.rungs.len() < 2 {
        return Vec::new();
    }
    let spread_ms = match view {
        PlanView::Whole => duration_ms,
        PlanView::Index | PlanView::Prefix => duration_ms.min(ARRIVED_MS),
    };
    let count = count(duration_ms);
    let mut chosen: Vec<usize> = (0..count)
        .map(|nth| {
            let at = spread_ms * (2 * nth + 1) / (2 * count) * TICKS_PER_SECOND / 1000;
            video
                .chunks
                .partition_point(|chunk| chunk.start_ticks() <= at)
                .saturating_sub(1)
        })
        .collect();
    // Two that would begin at one keyframe are one.
    chosen.dedup_by_key(|place| start_pts(video, &video.chunks[*place]));
    chosen
}

/// An excerpt of each of these chunks, from the keyframe that decoding begins with, so that nothing is decoded in vain.
pub(super) fn excerpts(video: &VideoPlan, chunks: &[usize]) -> Vec<ChunkPlan> {
    let (duration_ms, time_base) = (duration_ms(video), video.time_base);
    let length_ms = (duration_ms / WORK_PARTS / count(duration_ms)).clamp(EXCERPT_MS_MIN, EXCERPT_MS_MAX);
    let excerpt = |chunk: &ChunkPlan| {
        let start_pts = start_pts(video, chunk);
        let length = length_ms.saturating_mul(time_base.den) / (1000 * time_base.num);
        let end_pts = start_pts.saturating_add(length.max(1)).min(chunk.end_pts);
        let ticks = |pts: i64| time_base.to_us(pts.saturating_sub(video.base_pts)) * 9 / 100;
        ChunkPlan {
            start_pts,
            end_pts,
            seek_pts: chunk.seek_pts,
            bytes: chunk.bytes,
            segments: vec![SegmentPlan {
                number: 0,
                start_ticks: ticks(start_pts),
                duration_ticks: ticks(end_pts) - ticks(start_pts),
                frames: i64::from(video.frame_rate_max).saturating_mul(length_ms) / 1000,
            }],
        }
    };
    chunks
        .iter()
        .filter_map(|place| video.chunks.get(*place))
        .map(excerpt)
        .collect()
}

fn start_pts(video: &VideoPlan, chunk: &ChunkPlan) -> i64 {
    chunk.seek_pts.unwrap_or(chunk.start_pts).max(video.base_pts)
}

fn count(duration_ms: i64) -> i64 {
    (duration_ms / WORK_PARTS / EXCERPT_MS_MIN).clamp(1, EXCERPTS_MAX)
}

fn duration_ms(video: &VideoPlan) -> i64 {
    video.chunks.iter().map(ChunkPlan::duration_ticks).sum::<i64>() * 1000 / TICKS_PER_SECOND
}
