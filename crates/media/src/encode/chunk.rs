//! One chunk of video: one process decodes it once and encodes all rungs.

use std::{ffi::OsString, path::PathBuf};

use reelway_domain::{EncoderSpeed, Reason, RungSize};

use super::{graph, level, output_bytes_max, seconds};
use crate::{
    ChunkPlan, EncodeProgress, Error, TICKS_PER_SECOND, VideoPlan, Workspace, ffmpeg,
    input::{self, Args},
    plan::ticks_to_ms,
    progress::Block,
    sandbox::file_url,
};

/// The longest run of frames without a keyframe. Segments begin with one anyway.
const KEYFRAME_FRAMES_MAX: &str = "300";
/// B-frames in a row. It is part of the init segment, so it is the same for all chunks.
const B_FRAMES: &str = "3";
/// A keyframe is forced so long before a segment's first frame is due, so that rounding can't push it one frame on.
const KEYFRAME_EARLY_US: i64 = 500;
/// Fragmented MP4 as CMAF has it: no edit list, decode times as planned, a fragment for each keyframe, and nothing after the
/// last one.
const MOVFLAGS: &str = "+cmaf+frag_keyframe+frag_discont+delay_moov+skip_trailer";
/// How many chunks further back each new attempt begins to decode.
const CHUNKS_BACK_PER_ATTEMPT: usize = 2;

/// What one process made of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkOutput {
    /// One fragmented MP4 file for each rung, in the rungs' order, named after them: `720p.mp4`.
    pub pieces: Vec<PathBuf>,
    /// The frames in the first file, as ffmpeg counted them. Compare with [`ChunkPlan::frames`].
    pub frames: i64,
}

/// Encodes chunk `chunk_index` of `video` at all rungs, each into a file of its own in `work.scratch`.
///
/// Times in the files are ticks of 1/90000 s from the plan's `base_pts`. The same call gives the same bytes, so attempts may
/// be repeated; since a chunk that came out short may be the fault of a seek, each attempt (from 1) seeks further back.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`; `INTERNAL` if there is no such chunk.
pub async fn encode_chunk(
    work: &Workspace<'_>,
    video: &VideoPlan,
    chunk_index: usize,
    attempt: i32,
    mut progress: impl FnMut(EncodeProgress) + Send,
) -> Result<ChunkOutput, Error> {
    let no_chunk = || Error::new(Reason::Internal, format!("the plan has no chunk {chunk_index}"));
    let chunk = video.chunks.get(chunk_index).ok_or_else(no_chunk)?;
    let retries = usize::try_from(attempt.max(1) - 1).unwrap_or(0);
    let mut args = Vec::new();
    // Timestamps stay those of the source, so that the graph can name frames by them.
    args.words(["-copyts", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    if let Some(at_us) = seek_us(video, chunk_index, retries) {
        args.words(["-noaccurate_seek", "-ss", &seconds(at_us)]);
    }
    args.extend(input::input(work.source));
    args.words([
        "-filter_complex_threads",
        "1",
        "-filter_complex",
        &graph::ladder(video, chunk),
    ]);
    let pieces: Vec<PathBuf> = video
        .rungs
        .iter()
        .map(|rung| work.scratch.join(format!("{}.mp4", rung.name)))
        .collect();
    for ((i, rung), piece) in video.rungs.iter().enumerate().zip(&pieces) {
        args.words(["-map", &graph::pad(i)]);
        encoder(&mut args, video, chunk, rung);
        args.push(file_url(piece));
    }
    // More is decoded before the first frame comes out if decoding begins further back.
    let stall_max = work
        .tools
        .limits()
        .stall_max
        .saturating_mul(u32::try_from(retries).unwrap_or(u32::MAX - 1) + 1);
    let bitrate_max = video.rungs.iter().map(|rung| rung.bitrate_max).max().unwrap_or(0);
    let bytes_max = output_bytes_max(bitrate_max, ticks_to_ms(chunk.duration_ticks()));
    let mut frames = 0;
    ffmpeg::run(work, args, bytes_max, stall_max, |block| {
        frames = block.frames;
        progress(progress_of(block, chunk));
    })
    .await?;
    Ok(ChunkOutput { pieces, frames })
}

/// Frames tell more than the time that ffmpeg gives: that stays 0 until the first fragment is written.
fn progress_of(block: &Block, chunk: &ChunkPlan) -> EncodeProgress {
    let (duration_ms, planned) = (ticks_to_ms(chunk.duration_ticks()), chunk.frames().max(1));
    let done_ms = duration_ms.saturating_mul(block.frames.clamp(0, planned)) / planned;
    EncodeProgress {
        frames: block.frames,
        done_ms,
        speed: block.speed,
    }
}

/// Where to seek to, in microseconds from the container's start; `None` to read from there.
fn seek_us(video: &VideoPlan, chunk_index: usize, retries: usize) -> Option<i64> {
    let from = video
        .chunks
        .get(chunk_index.checked_sub(retries.saturating_mul(CHUNKS_BACK_PER_ATTEMPT))?)?;
    let (keyframe, start) = (
        video.time_base.to_us(from.seek_pts?),
        video.time_base.to_us(from.start_pts),
    );
    // Between the keyframe and the chunk's first frame there is no other keyframe, so the aim may be anywhere there.
    let aim = keyframe.saturating_add(video.seek_slack_us).min(start);
    Some(aim.saturating_sub(video.container_start_us)).filter(|us| *us > 0)
}

/// The options of one output. What ends up in the init segment (profile, level, B-frames, time base, colours) must not
/// differ from chunk to chunk.
fn encoder(args: &mut Vec<OsString>, video: &VideoPlan, chunk: &ChunkPlan, rung: &RungSize) {
    let (rate, level) = (rung.bitrate_max, level::level(rung, video.frame_rate_max));
    // One thread: the output is the same each time, and workers run one process per core.
    args.words(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-threads", "1"]);
    args.words([
        "-c:v",
        "libx264",
        "-preset",
        preset(video.speed),
        "-profile:v",
        "high",
        "-level:v",
        level,
    ]);
    args.words(["-crf", &video.crf.to_string(), "-maxrate", &rate.to_string()]);
    args.words(["-bufsize", &(u64::from(rate) * 2).to_string()]);
    args.words([
        "-g",
        KEYFRAME_FRAMES_MAX,
        "-bf",
        B_FRAMES,
        "-x264-params",
        "stitchable=1",
    ]);
    let keyframes = forced_keyframes(chunk);
    if !keyframes.is_empty() {
        args.words(["-force_key_frames", &keyframes]);
    }
    args.words([
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
        "-video_track_timescale",
        &TICKS_PER_SECOND.to_string(),
    ]);
    args.words(["-f", "mp4", "-movflags", MOVFLAGS]);
}

/// The times of the segments' first frames, except the chunk's first, which is a keyframe in any case.
fn forced_keyframes(chunk: &ChunkPlan) -> String {
    let us = |ticks: i64| ticks.saturating_mul(100) / 9;
    let times = chunk
        .segments
        .iter()
        .skip(1)
        .map(|s| seconds(us(s.start_ticks) - KEYFRAME_EARLY_US));
    times.collect::<Vec<_>>().join(",")
}

fn preset(speed: EncoderSpeed) -> &'static str {
    match speed {
        EncoderSpeed::Fast => "superfast",
        EncoderSpeed::Standard => "veryfast",
        EncoderSpeed::Quality => "medium",
    }
}
