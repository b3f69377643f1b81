//! Recutting one run of an audio track.
//!
//! All runs lie on one grid: AAC frame `n` holds the sound from sample `1024 n` on, at 48 kHz from the plan's time 0. An
//! encoder is given more than the run on both sides, because each frame overlaps its neighbours; here exactly the run's
//! frames are kept, so that those of the next run follow as if one encoder had made them all.

use std::{fs::File, iter, path::Path};

use super::{Fmp4Error, RecutTrack, fragment::Sample, reader::FragmentReader};
use crate::{AudioRun, Plan, PlanView, TICKS_PER_SECOND, VideoPlan, encode::FRAMES_BEFORE_ZERO};

/// Samples in one AAC frame (ISO/IEC 14496-3, 4.5.1.1).
pub(crate) const FRAME_SAMPLES: i64 = 1024;
/// Samples a second of all audio renditions.
const SAMPLE_RATE: i64 = 48_000;
/// The most segments of one track that are believed: days of audio.
const TRACK_SEGMENTS_MAX: u32 = 1 << 20;

/// When audio segments start, in ticks of 1/90000 s: where the video's do, and after the video's last start every
/// `segment_ms`, without end. Audio that outlasts the video is cut just so.
pub fn audio_starts(plan: &Plan) -> impl Iterator<Item = i64> + '_ {
    segment_starts(plan.video.as_ref(), plan.segment_ms, plan.view)
}

/// [`audio_starts`] of a plan in the making. Of a video that goes on, the next segment starts where the last one ends, however long
/// that is.
pub(crate) fn segment_starts(
    video: Option<&VideoPlan>,
    segment_ms: i64,
    view: PlanView,
) -> impl Iterator<Item = i64> + '_ {
    let every = segment_ms.max(1) * TICKS_PER_SECOND / 1000;
    let starts = move || {
        video
            .into_iter()
            .flat_map(|v| &v.chunks)
            .flat_map(|c| &c.segments)
            .map(|s| (s.start_ticks, s.duration_ticks))
    };
    let next = starts().next_back().map_or(0, |(start, duration)| match view {
        PlanView::Prefix => start + duration,
        PlanView::Whole | PlanView::Index => start + every,
    });
    starts()
        .map(|(start, _)| start)
        .chain(iter::successors(Some(next), move |start| start.checked_add(every)))
}

/// The frame that begins nearest to a time in ticks of 1/90000 s; 0 for times before 0.
pub(crate) fn frame_at(ticks: i64) -> i64 {
    let (doubled, frame) = (
        i128::from(ticks) * 2 * i128::from(SAMPLE_RATE),
        i128::from(FRAME_SAMPLES) * i128::from(TICKS_PER_SECOND),
    );
    // Half a frame before the time, rounded up.
    let frames = (doubled - frame).div_euclid(2 * frame) + i128::from((doubled - frame).rem_euclid(2 * frame) != 0);
    i64::try_from(frames.max(0)).unwrap_or(i64::MAX)
}

/// Keeps the frames of `run` and cuts them at the frame nearest to each start, one file for each segment, named by `name`
/// from the start's place in `starts`. The starts are in ticks of 1/90000 s and ascend from 0; there may be more of them
/// than audio. Runs begin and end at such frames. A single last frame of a track stays with the segment before it.
///
/// Fewer frames than the run has are no error, as long as those that are there have no gap: [`RecutTrack::frames`] tells.
/// If the run's first frame is missing, or sound begins off the grid, there are none.
///
/// Blocks on files. Memory holds the table of the run's frames, never the frames. The files are new and not synced.
///
/// # Errors
/// If the input is not a fragmented AAC file at 48 kHz, or if reading or writing fails. Files that were written remain.
pub fn recut_audio(
    input: &Path,
    run: &AudioRun,
    starts: impl IntoIterator<Item = i64>,
    out_dir: &Path,
    name: impl Fn(u32) -> String,
) -> Result<RecutTrack, Fmp4Error> {
    let mut reader = FragmentReader::open(File::open(input)?)?;
    if reader.init().entry.picture.is_some() || i64::from(reader.init().timescale) != SAMPLE_RATE {
        return Err(Fmp4Error::Unsupported("a run that is not audio at 48 kHz"));
    }
    let mut frames = Vec::new();
    while let Some(fragment) = reader.next_fragment()? {
        for sample in fragment {
            keep(&mut frames, sample, run);
        }
    }
    let mut track = RecutTrack::new(reader.init());
    // A track that outlasts its last start by a part of a frame gets no segment of one frame.
    let last = frames.last().map_or(i64::MIN, |(last, _)| *last);
    let start_max = if run.end_frame.is_none() {
        last.saturating_sub(1).max(run.start_frame)
    } else {
        last
    };
    let starts = starts.into_iter().map(frame_at).take_while(|start| *start <= start_max);
    let starts: Vec<i64> = starts.take(TRACK_SEGMENTS_MAX as usize).collect();
    for (number, segment) in segments(&frames, &starts) {
        let samples: Vec<Sample> = segment.iter().map(|(_, sample)| *sample).collect();
        track.write_segment(&mut reader, &samples, number, out_dir, &name)?;
    }
    Ok(track)
}

/// Adds a frame if it is the next of the run's, and gives it its time. Sound that begins late, after a seek, is not on the
/// grid, and none of it is taken.
fn keep(frames: &mut Vec<(i64, Sample)>, mut sample: Sample, run: &AudioRun) {
    let number = sample.decode_time.div_euclid(FRAME_SAMPLES) - FRAMES_BEFORE_ZERO;
    let expected = frames.last().map_or(run.start_frame, |(last, _)| last + 1);
    let is_on_grid = sample.decode_time.rem_euclid(FRAME_SAMPLES) == 0;
    if is_on_grid && number == expected && run.end_frame.is_none_or(|end| number < end) {
        sample.decode_time = number * FRAME_SAMPLES;
        sample.duration = FRAME_SAMPLES.unsigned_abs().try_into().unwrap_or(u32::MAX);
        frames.push((number, sample));
    }
}

/// The frames of each segment, with its number: the place of its start.
fn segments<'a>(frames: &'a [(i64, Sample)], starts: &'a [i64]) -> impl Iterator<Item = (u32, &'a [(i64, Sample)])> {
    let place = |frame: i64| starts.partition_point(|start| *start <= frame).saturating_sub(1);
    frames
        .chunk_by(move |(a, _), (b, _)| place(*a) == place(*b))
        .map(move |segment| (u32::try_from(place(segment[0].0)).unwrap_or(u32::MAX), segment))
}
