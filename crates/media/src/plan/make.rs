//! From a probe to a plan.

use std::path::PathBuf;

use reelway_domain::{Failure, Ladder, Reason, SourceInfo};

use super::{
    AudioPlan, Plan, SEGMENT_MS, VideoPlan, chunks, mezzanine,
    segments::Timeline,
    time::{ticks_to_ms, ticks_to_seconds},
};
use crate::{
    AudioStream, Error, Probe, VideoStream, Workspace,
    index::{self, Index, VideoIndex},
    probe::{check_duration, probe_own},
};

/// Containers whose headers claim a duration that is the file's own, so that a shorter file was cut.
const TELL_DURATION: [&str; 2] = ["avi", "flv"];
/// What may be missing from a claimed duration without suspicion: one part in so many, and so many milliseconds.
const SHORT_PARTS: i64 = 20;
const SHORT_MS: i64 = 1000;
/// The bit rates of the AAC rendition, in bits a second.
const STEREO_BITRATE: u32 = 128_000;
const MONO_BITRATE: u32 = 64_000;
/// How far ffmpeg goes back by itself before it seeks in most containers, in microseconds (3/23 s, rounded up).
const SEEK_SLACK_US: i64 = 130_500;

/// Reads the packet index and lays out what is to be made. The second value is the copy in `work.scratch` that chunks,
/// audio and poster must be read from, if there is one.
///
/// # Errors
/// `SOURCE_TRUNCATED`, `SOURCE_DAMAGED`, `SOURCE_LIMIT_EXCEEDED` are about the source; the rest is about this run.
pub async fn make_plan(work: &Workspace<'_>, probe: &Probe, ladder: &Ladder) -> Result<(Plan, Option<PathBuf>), Error> {
    let copy = if mezzanine::is_needed(probe) {
        Some(mezzanine::make(work, probe).await?)
    } else {
        None
    };
    let file = copy.as_deref().unwrap_or(work.source);
    // A copy has other stream numbers, time bases and start times; everything after this is about the copy.
    let read = if copy.is_some() {
        probe_own(work, file).await?
    } else {
        probe.clone()
    };
    let index = index::read(work, file, &read).await?;
    let mut plan = lay_out(work, &read, &index, ladder)?;
    check_end(probe, plan.source.duration_ms)?;
    plan.source.container.clone_from(&probe.container);
    plan.reads_mezzanine = copy.is_some();
    Ok((plan, copy))
}

fn lay_out(work: &Workspace<'_>, probe: &Probe, index: &Index, ladder: &Ladder) -> Result<Plan, Failure> {
    let limits = work.tools.limits();
    let mut source = probe.source_info();
    source.duration_ms = 0;
    let mut video = None;
    if let Some(stream) = &probe.video {
        let timeline = timeline(stream, &index.video)?;
        source.duration_ms = ticks_to_ms(timeline.end_ticks);
        check_duration(source.duration_ms, limits)?;
        describe(&mut source, &timeline);
        let tone_map = work.tools.tone_maps() && stream.colour.is_hdr();
        video = Some(video_plan(probe, stream, &timeline, &index.video, ladder, tone_map));
    }
    let base_us = video.as_ref().map(|v| v.time_base.to_us(v.base_pts));
    let audio = probe
        .audio
        .as_ref()
        .and_then(|stream| audio_plan(stream, index.audio?, base_us));
    source.duration_ms = source.duration_ms.max(audio.as_ref().map_or(0, |a| a.duration_ms));
    check_duration(source.duration_ms, limits)?;
    if video.is_none() && audio.is_none() {
        return Err(Failure::new(
            Reason::SourceDamaged,
            "The file has streams, but not one packet in them.",
        ));
    }
    Ok(Plan {
        source,
        segment_ms: SEGMENT_MS,
        video,
        audio,
        reads_mezzanine: false,
    })
}

fn timeline(stream: &VideoStream, index: &VideoIndex) -> Result<Timeline, Failure> {
    Timeline::new(&index.frames, index.last_duration, stream.time_base).ok_or_else(|| {
        Failure::new(
            Reason::SourceDamaged,
            "The video stream holds no frame that could be decoded and shown.",
        )
    })
}

/// Writes down what the packets say instead of what the headers claim.
#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn describe(source: &mut SourceInfo, timeline: &Timeline) {
    source.frames = i64::try_from(timeline.frames.len()).unwrap_or(i64::MAX);
    source.frame_rate = source.frames as f64 / ticks_to_seconds(timeline.end_ticks);
}

fn video_plan(
    probe: &Probe,
    stream: &VideoStream,
    timeline: &Timeline,
    index: &VideoIndex,
    ladder: &Ladder,
    tone_map: bool,
) -> VideoPlan {
    VideoPlan {
        stream_index: stream.index,
        time_base: stream.time_base,
        base_pts: timeline.base_pts,
        container_start_us: probe.start_us,
        seek_slack_us: if probe.is_in(&["mov"]) { 0 } else { SEEK_SLACK_US },
        rungs: ladder.fit(stream.width, stream.height),
        speed: ladder.speed,
        crf: ladder.crf,
        missing_percent_max: ladder.missing_percent_max,
        frame_rate_max: timeline.frame_rate_max(),
        deinterlace: stream.interlaced,
        tone_map,
        colour: stream.colour.clone(),
        chunks: chunks::group(&timeline.cut(), timeline.end_pts, &index.keyframes),
    }
}

/// `None` if the audio ends before the video begins.
fn audio_plan(stream: &AudioStream, (first, end): (i64, i64), base_us: Option<i64>) -> Option<AudioPlan> {
    let base_us = base_us.unwrap_or_else(|| stream.time_base.to_us(first));
    let duration_ms = stream.time_base.to_us(end).saturating_sub(base_us) / 1000;
    let channels = stream.channels.min(2);
    let bitrate = if channels == 1 { MONO_BITRATE } else { STEREO_BITRATE };
    (duration_ms > 0).then_some(AudioPlan {
        stream_index: stream.index,
        base_us,
        duration_ms,
        channels,
        bitrate,
    })
}

/// Refuses a file whose packets end long before its headers say.
fn check_end(probe: &Probe, duration_ms: i64) -> Result<(), Failure> {
    let claimed_ms = probe.duration_ms;
    if !probe.is_in(&TELL_DURATION) || duration_ms + claimed_ms / SHORT_PARTS + SHORT_MS >= claimed_ms {
        return Ok(());
    }
    let message = format!(
        "The file ends after {duration_ms} ms of {claimed_ms} ms. The recording or the copy was cut short: copy it again \
         from where it was made."
    );
    Err(Failure::new(Reason::SourceTruncated, message))
}
