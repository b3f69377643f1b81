//! From a probe to a plan.

use std::path::{Path, PathBuf};

use reelway_domain::{Failure, Ladder, Reason, SourceInfo};

use super::{
    ByteRange, ChunkPlan, Plan, PlanView, SEGMENT_MS, VideoPlan, audio,
    chunks::{self, Cuts, LEAD_PARTS},
    mezzanine,
    segments::Timeline,
    subtitles,
    time::{ticks_to_ms, ticks_to_seconds},
};
use crate::{
    Error, Probe, VideoStream, Workspace,
    index::{self, Index, VideoIndex},
    probe::{check_duration, check_frame_rate, probe_own, read_mastering},
};

/// Containers whose headers claim a duration that is the file's own, so that a shorter file was cut.
const TELL_DURATION: [&str; 2] = ["avi", "flv"];
/// What may be missing from a claimed duration without suspicion: one part in so many, and so many milliseconds.
const SHORT_PARTS: i64 = 20;
const SHORT_MS: i64 = 1000;
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
    let index = index::read(work, file, &read, false).await?;
    let mut plan = lay_out(work, &read, &index, ladder, PlanView::Whole)?;
    if let Some(video) = &mut plan.video {
        complete(work, file, video).await?;
    }
    check_end(probe, plan.source.duration_ms)?;
    plan.source.container.clone_from(&probe.container);
    plan.reads_mezzanine = copy.is_some();
    Ok((plan, copy))
}

/// Lays out what is to be made of a source of which these bytes and the first of its packets are there: its headers and its
/// index. Made from all of the file, the plan is the same.
///
/// # Errors
/// As [`make_plan`].
pub async fn make_early_plan(
    work: &Workspace<'_>,
    probe: &Probe,
    ladder: &Ladder,
    index_bytes: Vec<ByteRange>,
) -> Result<Plan, Error> {
    let index = index::read(work, work.source, probe, true).await?;
    let mut plan = lay_out(work, probe, &index, ladder, PlanView::Index)?;
    if let Some(video) = &mut plan.video {
        complete(work, work.source, video).await?;
        for chunk in &mut video.chunks {
            chunk.bytes = index.video.bytes(chunk.seek_pts, chunk.end_pts);
        }
    }
    plan.index_bytes = index_bytes;
    Ok(plan)
}

/// What is to be made of a source of which this is known.
pub(crate) fn lay_out(
    work: &Workspace<'_>,
    probe: &Probe,
    index: &Index,
    ladder: &Ladder,
    view: PlanView,
) -> Result<Plan, Failure> {
    lay_out_behind(&[], work, probe, index, ladder, view)
}

/// The same behind the chunks that an earlier plan laid out, if the source still begins with them.
pub(super) fn lay_out_behind(
    before: &[ChunkPlan],
    work: &Workspace<'_>,
    probe: &Probe,
    index: &Index,
    ladder: &Ladder,
    view: PlanView,
) -> Result<Plan, Failure> {
    let limits = work.tools.limits();
    let mut source = probe.source_info();
    source.duration_ms = 0;
    let mut video = None;
    if let Some(stream) = &probe.video {
        let timeline = timeline(stream, &index.video)?;
        source.duration_ms = ticks_to_ms(timeline.end_ticks);
        check_duration(source.duration_ms, limits)?;
        check_frame_rate(timeline.frames.len(), source.duration_ms, limits)?;
        check_stills(&timeline)?;
        describe(&mut source, &timeline);
        let tone_map = work.tools.tone_maps() && stream.colour.is_hdr();
        let known = Known {
            before,
            timeline: &timeline,
            index: &index.video,
            is_open: view == PlanView::Prefix,
        };
        video = Some(video_plan(probe, stream, &known, ladder, tone_map));
    }
    let base_us = video.as_ref().map(|v| v.time_base.to_us(v.base_pts));
    let audios = audio::tracks(&audio::Known {
        probe,
        limits,
        extents: &index.audios,
        base_us,
        view,
        video: video.as_ref(),
        bytes: &|place, from_us, to_us| {
            let time_base = probe.audios.get(place)?.time_base;
            index.audio_bytes(place, |pts| time_base.to_us(pts), from_us, to_us)
        },
    })?;
    let longest_ms = audios.iter().map(|audio| audio.duration_ms).max().unwrap_or(0);
    source.duration_ms = source.duration_ms.max(longest_ms);
    if video.is_none() && audios.is_empty() {
        return Err(Failure::new(
            Reason::SourceDamaged,
            "The file has streams, but not one packet in them.",
        ));
    }
    Ok(Plan {
        source,
        segment_ms: SEGMENT_MS,
        video,
        audios,
        subtitles: subtitles::tracks(&probe.subtitles),
        view,
        index_bytes: Vec::new(),
        reads_mezzanine: false,
    })
}

/// Holds the rungs against the tools, and finds out what a rung of high dynamic range says beside its pictures.
pub(super) async fn complete(work: &Workspace<'_>, file: &Path, video: &mut VideoPlan) -> Result<(), Error> {
    work.tools.check(&video.rungs)?;
    if video.rungs.iter().any(|rung| rung.hdr) {
        video.mastering = read_mastering(work, file, video.stream_index).await?;
    }
    Ok(())
}

fn timeline(stream: &VideoStream, index: &VideoIndex) -> Result<Timeline, Failure> {
    Timeline::new(&index.frames, index.last_duration, stream.time_base).ok_or_else(|| {
        Failure::new(
            Reason::SourceDamaged,
            "The video stream holds no frame that could be decoded and shown.",
        )
    })
}

/// Refuses a picture that is shown for longer than the durations of a fragment can say (`sample_duration`, ISO/IEC 14496-12,
/// section 8.8.8, as ffmpeg writes it: 31 bits).
fn check_stills(timeline: &Timeline) -> Result<(), Failure> {
    let starts = timeline.frames.iter().map(|frame| frame.ticks);
    let ends = starts.clone().skip(1).chain([timeline.end_ticks]);
    let longest = ends.zip(starts).map(|(end, start)| end - start).max().unwrap_or(0);
    if longest <= i64::from(i32::MAX) {
        return Ok(());
    }
    let (actual, max) = (ticks_to_ms(longest) / 1000, ticks_to_ms(i64::from(i32::MAX)) / 1000);
    let message = format!("One picture of the source is shown for {actual} s; at most {max} s are taken.");
    Err(Failure::new(Reason::SourceLimitExceeded, message)
        .with("limit", max)
        .with("actual", actual))
}

/// Writes down what the packets say instead of what the headers claim.
#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn describe(source: &mut SourceInfo, timeline: &Timeline) {
    source.frames = i64::try_from(timeline.frames.len()).unwrap_or(i64::MAX);
    source.frame_rate = source.frames as f64 / ticks_to_seconds(timeline.end_ticks);
}

/// What is known of a video.
struct Known<'a> {
    /// What was laid out of its beginning.
    before: &'a [ChunkPlan],
    timeline: &'a Timeline,
    index: &'a VideoIndex,
    /// It goes on.
    is_open: bool,
}

fn video_plan(probe: &Probe, stream: &VideoStream, known: &Known<'_>, ladder: &Ladder, tone_map: bool) -> VideoPlan {
    let Known {
        before,
        timeline,
        index,
        is_open,
    } = *known;
    let rungs = ladder.fit(stream.width, stream.height, stream.colour.is_hdr());
    let pixels = rungs.iter().map(|rung| i64::from(rung.width) * i64::from(rung.height));
    let seek_slack_us = if probe.is_in(&["mov"]) { 0 } else { SEEK_SLACK_US };
    // Other seeks that aim at a keyframe itself land on the one before it.
    let cheap = if seek_slack_us == 0 { &index.keyframes[..] } else { &[] };
    let cuts = if is_open {
        timeline.cut_beginning(cheap)
    } else {
        timeline.cut(cheap)
    };
    let before = if chunks::is_beginning(before, &cuts) {
        before
    } else {
        &[]
    };
    let all = Cuts { cuts: &cuts, is_open };
    let chunks = chunks::group_behind(before, &all, timeline.end_pts, &index.keyframes, pixels.sum());
    VideoPlan {
        stream_index: stream.index,
        time_base: stream.time_base,
        base_pts: timeline.base_pts,
        container_start_us: probe.start_us,
        seek_slack_us,
        speed: ladder.speed,
        crf: ladder.crf,
        codec: ladder.codec,
        missing_percent_max: ladder.missing_percent_max,
        frame_rate_max: timeline.frame_rate_max(),
        deinterlace: stream.interlaced,
        tone_map,
        colour: stream.colour.clone(),
        mastering: None,
        lead_chunks: chunks::lead_chunks(&chunks, rungs.len(), LEAD_PARTS),
        rungs,
        chunks,
    }
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
