//! Plans of sources that are made of pieces, while their pieces arrive: each plan reaches further than the one before it, and what an
//! earlier one laid out stays as it is.

use std::path::PathBuf;

use reelway_domain::{Failure, Ladder, Reason};

use super::{
    ByteRange, Plan, PlanView, VideoPlan,
    chunks::{LEAD_PARTS_OF_PIECES, lead_chunks},
    make::{complete, lay_out_behind},
    mezzanine,
};
use crate::{
    Error, Probe, Workspace,
    index::{self, Index},
    pieces::Pieces,
};

/// Where the highest frame rate is this many times the average, pictures come unevenly.
const UNEVEN_MIN: f64 = 1.05;
/// The highest frame rate of uneven pictures is taken to be a multiple of this: what screens are drawn with.
const RATE_STEP: u32 = 30;
/// What is read of the source before a run of sound, in milliseconds, at most.
const SOUND_LEAD_MS: i64 = 2_500;

/// Lays out the first chunks of a source of whose pieces the first ones are there, `work.source`: as far as they will be the same
/// whatever comes behind, and behind those of an earlier plan. `None`: nothing more yet.
///
/// # Errors
/// As [`super::make_plan`].
pub async fn make_beginning_plan(
    work: &Workspace<'_>,
    probe: &Probe,
    ladder: &Ladder,
    before: Option<&Plan>,
) -> Result<Option<Plan>, Error> {
    if mezzanine::is_needed(probe) || probe.video.is_none() {
        return Ok(None);
    }
    let index = index::read(work, work.source, probe, true).await?;
    let earlier = before.and_then(|plan| plan.video.as_ref());
    let laid_out = earlier.map_or(&[][..], |video| &video.chunks);
    let mut plan = lay_out_behind(laid_out, work, probe, &index, ladder, PlanView::Prefix)?;
    let Some(video) = &mut plan.video else { return Ok(None) };
    complete(work, work.source, video).await?;
    // Players learn only once which tracks there are, so none may be left out because nothing of it is laid out yet.
    let tracks = index.audios.iter().flatten().count();
    if video.chunks.len() <= laid_out.len() || plan.audios.len() < tracks {
        return Ok(None);
    }
    if let Some(earlier) = earlier {
        follow(video, earlier);
    } else {
        video.lead_chunks = lead_chunks(&video.chunks, video.rungs.len(), LEAD_PARTS_OF_PIECES);
        let average = plan.source.frame_rate;
        video.frame_rate_max = with_room(video.frame_rate_max, average);
    }
    let pieces = pieces(work.source.to_owned()).await?;
    place(video, laid_out.len(), &index, &pieces);
    for audio in &mut plan.audios {
        let base_ms = audio.base_us / 1000;
        for run in &mut audio.runs {
            let from_us = (base_ms + run.start_ms())
                .saturating_sub(SOUND_LEAD_MS)
                .saturating_mul(1000);
            run.bytes = sound(run.bytes, video, from_us, &index).map(|bytes| pieces.around(bytes));
        }
    }
    plan.index_bytes = vec![pieces.opening()];
    if let Some(before) = before {
        if !before.is_beginning_of(&plan) || before.audios.len() != plan.audios.len() {
            return Ok(None);
        }
        // What runs already was laid out for these bytes.
        plan.index_bytes.clone_from(&before.index_bytes);
    }
    Ok(Some(plan))
}

/// Lays out all of a source of which a beginning may have been laid out, behind that.
///
/// # Errors
/// As [`super::make_plan`].
pub async fn make_further_plan(
    work: &Workspace<'_>,
    probe: &Probe,
    ladder: &Ladder,
    before: &Plan,
) -> Result<Plan, Error> {
    let index = index::read(work, work.source, probe, false).await?;
    let earlier = before.video.as_ref();
    let laid_out = earlier.map_or(&[][..], |video| &video.chunks);
    // Sound is cut as it is while a source arrives.
    let mut plan = lay_out_behind(laid_out, work, probe, &index, ladder, PlanView::Index)?;
    if let Some(video) = &mut plan.video {
        complete(work, work.source, video).await?;
        if let Some(earlier) = earlier {
            follow(video, earlier);
        }
    }
    plan.view = PlanView::Whole;
    Ok(plan)
}

/// Takes over from an earlier plan what must stay as it is.
fn follow(video: &mut VideoPlan, earlier: &VideoPlan) {
    video.lead_chunks = earlier.lead_chunks;
    video.frame_rate_max = video.frame_rate_max.max(earlier.frame_rate_max);
}

/// The highest frame rate that a beginning is encoded for: that of uneven pictures may be higher later on.
fn with_room(frame_rate_max: u32, average: f64) -> u32 {
    if average * UNEVEN_MIN >= f64::from(frame_rate_max) {
        return frame_rate_max;
    }
    frame_rate_max.next_multiple_of(RATE_STEP)
}

/// What must be there for sound: readers that seek go to the picture's keyframe before it.
fn sound(bytes: Option<ByteRange>, video: &VideoPlan, from_us: i64, index: &Index) -> Option<ByteRange> {
    let bytes = bytes?;
    let keyframes = &index.video.keyframes;
    let before = keyframes.partition_point(|key| video.time_base.to_us(*key) <= from_us);
    let key = before.checked_sub(1).map(|place| keyframes[place]);
    let picture = index
        .video
        .bytes(key, key.map_or(i64::MIN, |key| key.saturating_add(1)));
    Some(ByteRange {
        start: picture.map_or(0, |picture| picture.start.min(bytes.start)),
        ..bytes
    })
}

/// Finds out in which pieces the chunks lie that are new.
fn place(video: &mut VideoPlan, laid_out: usize, index: &Index, pieces: &Pieces) {
    for chunk in video.chunks.iter_mut().skip(laid_out) {
        let bytes = index.video.bytes(chunk.seek_pts, chunk.end_pts);
        chunk.bytes = Some(bytes.map_or(pieces.all(), |bytes| pieces.around(bytes)));
    }
}

async fn pieces(file: PathBuf) -> Result<Pieces, Failure> {
    let unreadable = |error| {
        Failure::new(
            Reason::StoreUnavailable,
            format!("the beginning of the source can't be read: {error}"),
        )
    };
    let found = tokio::task::spawn_blocking(move || Pieces::of(&file)).await;
    found
        .map_err(|error| Failure::new(Reason::Internal, error.to_string()))?
        .map_err(unreadable)
}
