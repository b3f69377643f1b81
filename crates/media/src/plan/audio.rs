//! The audio tracks, each cut into runs.

use reelway_domain::Failure;

use super::{AudioPlan, AudioRun, AudioSeek, ByteRange, ChunkPlan, PlanView, Rational, SEGMENT_MS, VideoPlan};
use crate::{
    AUDIO_RENDITION, AudioStream, Limits, Probe,
    fmp4::{frame_at, segment_starts},
    probe::check_duration,
};

/// The bit rates of the AAC renditions, in bits a second.
const STEREO_BITRATE: u32 = 128_000;
const MONO_BITRATE: u32 = 64_000;

/// Containers in which every packet has a time of its own, and which are searched by it.
const SEARCHABLE: [&str; 3] = ["mov", "matroska", "wav"];
/// A clock that ticks so often in a second is exact enough for sound.
const EXACT_TICKS_PER_SECOND: i64 = 16_000;

/// The shortest run, and the longest one, in ticks of 1/90000 s: two segments and about a minute.
const RUN_TICKS_MIN: i64 = 8 * TICKS;
const RUN_TICKS_MAX: i64 = 60 * TICKS;
/// While the source arrives, the runs that begin within this many ticks are as long as the chunks of the picture there, one
/// segment each: playing begins when both are made.
const FIRST_RUNS_TICKS: i64 = 8 * TICKS;
const FIRST_RUN_TICKS: i64 = 4 * TICKS;
const TICKS: i64 = super::TICKS_PER_SECOND;
/// A track that is there whole and no longer than this is one run.
const ONE_RUN_TICKS_MAX: i64 = 120 * TICKS;
/// While the source arrives, a run is at most one part in so many of what lies before it, so that sound is never far behind.
const ARRIVING_PARTS: i64 = 4;
/// No run begins so shortly before the track's end, and packets up to here behind a run must be there to encode it.
const REST_TICKS_MIN: i64 = 2 * TICKS;
/// What a run needs of the source before its first sample: the encoder's lead-in, and a second for the decoder.
const LEAD_US: i64 = 2_000_000;
/// What it needs behind its last one.
const TRAIL_US: i64 = 500_000;
const US_PER_SECOND: i64 = 1_000_000;

/// What is known about the source when its audio is laid out.
pub(super) struct Known<'a> {
    /// The probe of the file that is read.
    pub(super) probe: &'a Probe,
    /// How long a track may be.
    pub(super) limits: &'a Limits,
    /// The times of the first and after the last packet of each audio stream, in its time base.
    pub(super) extents: &'a [Option<(i64, i64)>],
    /// The instant of the source's clock that becomes time 0; without video that is the first sound of the first track.
    pub(super) base_us: Option<i64>,
    /// How much of the source is there.
    pub(super) view: PlanView,
    /// The video: audio segments start where its segments do.
    pub(super) video: Option<&'a VideoPlan>,
    /// Where an audio stream's packets between two times (in microseconds of the source's clock) lie, by its place.
    pub(super) bytes: &'a dyn Fn(usize, i64, i64) -> Option<ByteRange>,
}

/// All tracks that have sound after time 0, the default one first. What is laid out of the first part of a source is the
/// beginning of what is laid out of more of it.
///
/// # Errors
/// `SOURCE_LIMIT_EXCEEDED` if one is too long.
pub(super) fn tracks(known: &Known<'_>) -> Result<Vec<AudioPlan>, Failure> {
    let streams = || known.probe.audios.iter().zip(known.extents).enumerate();
    let first_us = streams().find_map(|(_, (stream, extent))| extent.map(|(first, _)| stream.time_base.to_us(first)));
    let Some(base_us) = known.base_us.or(first_us) else {
        return Ok(Vec::new());
    };
    let mut plans: Vec<AudioPlan> = Vec::new();
    for (place, (stream, extent)) in streams() {
        let end_us = extent.map_or(i64::MIN, |(_, end)| stream.time_base.to_us(end));
        let length_us = end_us.saturating_sub(base_us);
        if length_us >= 1000 {
            let mut plan = track(stream, plans.len(), base_us, length_us);
            plan.seek = seek(known.probe, stream);
            // The runs of a track that never ends would have no end either.
            check_duration(plan.duration_ms, known.limits)?;
            plan.runs = runs(known, &plan, place, length_us);
            plans.push(plan);
        }
    }
    plans.retain(|plan| !plan.runs.is_empty());
    Ok(plans)
}

fn track(stream: &AudioStream, place: usize, base_us: i64, length_us: i64) -> AudioPlan {
    let channels = stream.channels.min(2);
    AudioPlan {
        name: numbered(AUDIO_RENDITION, place),
        language: stream.language.clone(),
        stream_index: stream.index,
        base_us,
        duration_ms: length_us / 1000,
        channels,
        bitrate: if channels == 1 { MONO_BITRATE } else { STEREO_BITRATE },
        sample_rate: if stream.sample_rate > 0 {
            stream.sample_rate
        } else {
            sample_rate_unknown()
        },
        seek: AudioSeek::FromStart,
        runs: Vec::new(),
    }
}

/// What a source is converted to first that doesn't tell its sampling rate.
pub(super) const fn sample_rate_unknown() -> u32 {
    48_000
}

/// How runs of a stream can begin somewhere else than at the source's start.
fn seek(probe: &Probe, stream: &AudioStream) -> AudioSeek {
    let Rational { num, den } = stream.time_base;
    let is_exact = den >= num.saturating_mul(EXACT_TICKS_PER_SECOND);
    if !probe.is_in(&SEARCHABLE) {
        AudioSeek::FromStart
    } else if is_exact {
        AudioSeek::ByClock
    } else {
        AudioSeek::FromStart
    }
}

fn runs(known: &Known<'_>, plan: &AudioPlan, place: usize, length_us: i64) -> Vec<AudioRun> {
    let length = length_us.saturating_mul(9) / 100;
    let is_one = known.view == PlanView::Whole && length <= ONE_RUN_TICKS_MAX;
    let is_open = known.view == PlanView::Prefix;
    // Behind the last segment of a picture that goes on, segments will start elsewhere.
    let end = |chunk: &ChunkPlan| chunk.start_ticks().saturating_add(chunk.duration_ticks());
    let last_cut = known.video.and_then(|video| video.chunks.last()).map(end);
    let known_until = last_cut.filter(|_| is_open).unwrap_or(i64::MAX);
    let longest = |start: i64| match (plan.seek, known.view) {
        // What lies before is decoded for each run, so that runs as long as that cost twice the decoding of one.
        (AudioSeek::FromStart, _) => start.max(RUN_TICKS_MIN),
        (_, PlanView::Whole) => start.clamp(RUN_TICKS_MIN, RUN_TICKS_MAX),
        _ if start < FIRST_RUNS_TICKS => FIRST_RUN_TICKS,
        _ => (start / ARRIVING_PARTS).clamp(RUN_TICKS_MIN, RUN_TICKS_MAX),
    };
    let mut borders = vec![0];
    let mut start = 0;
    let possible = segment_starts(known.video, SEGMENT_MS, known.view)
        .take_while(|at| at.saturating_add(REST_TICKS_MIN) <= length);
    for at in possible.take_while(|at| !is_one && *at <= known_until) {
        if at - start >= longest(start) {
            borders.push(at);
            start = at;
        }
    }
    let ends = borders
        .iter()
        .skip(1)
        .map(|end| Some(*end))
        .chain((!is_open).then_some(None));
    let run = |(&start, end): (&i64, Option<i64>)| AudioRun {
        start_frame: frame_at(start),
        end_frame: end.map(frame_at),
        bytes: bytes(known, plan, place, start, end.unwrap_or(length)),
    };
    borders.iter().zip(ends).map(run).collect()
}

/// Where everything lies that a run from one time to another (in ticks) is made of.
fn bytes(known: &Known<'_>, plan: &AudioPlan, place: usize, start: i64, end: i64) -> Option<ByteRange> {
    let us = |ticks: i64| plan.base_us.saturating_add(ticks.saturating_mul(US_PER_SECOND) / TICKS);
    let from = if start == 0 || plan.seek == AudioSeek::FromStart {
        i64::MIN
    } else {
        us(start).saturating_sub(LEAD_US)
    };
    (known.bytes)(place, from, us(end).saturating_add(TRAIL_US))
}

/// The name of a rendition: that of its kind, with a number from the second one on.
pub(super) fn numbered(kind: &str, place: usize) -> String {
    if place == 0 {
        kind.to_owned()
    } else {
        format!("{kind}-{}", place + 1)
    }
}

#[cfg(test)]
mod tests {
    use reelway_domain::Reason;

    use super::*;
    use crate::testbench::Bench;

    #[tokio::test]
    async fn a_track_that_never_ends_is_refused_before_it_is_cut() {
        let bench = Bench::new().await;
        let clip = bench.ffmpeg("-f lavfi -i sine=d=2 -c:a aac", "clip.mka");
        let refused = tracks(&Known {
            probe: &bench.probe(&clip).await.unwrap(),
            limits: bench.tools.limits(),
            extents: &[Some((0, i64::MAX))],
            base_us: None,
            view: PlanView::Whole,
            video: None,
            bytes: &|_, _, _| None,
        });
        assert_eq!(refused.unwrap_err().reason, Reason::SourceLimitExceeded);
    }

    /// Where no seek is exact, each run decodes all that lies before it: runs that double keep that from being quadratic.
    #[tokio::test]
    async fn long_tracks_that_can_not_be_searched_are_decoded_three_times_at_most() {
        let bench = Bench::new().await;
        let clip = bench.ffmpeg("-f lavfi -i sine=d=2 -c:a aac", "clip.mka");
        let probe = bench.probe(&clip).await.unwrap();
        for (minutes, view) in [(3, PlanView::Whole), (181, PlanView::Whole), (600, PlanView::Index)] {
            let length_ms: i64 = minutes * 60_000;
            let plans = tracks(&Known {
                probe: &probe,
                limits: bench.tools.limits(),
                extents: &[Some((0, length_ms))],
                base_us: Some(0),
                view,
                video: None,
                bytes: &|_, _, _| None,
            })
            .unwrap();
            assert_eq!(plans[0].seek, AudioSeek::FromStart);
            let ends = plans[0].runs.iter().map(|run| run.end_ms().unwrap_or(length_ms));
            let decoded: i64 = ends.sum();
            assert!(decoded <= 3 * length_ms, "{minutes} minutes: {decoded} ms are decoded");
            assert!(plans[0].runs.len() > 4, "and it is spread over workers");
        }
    }
}
