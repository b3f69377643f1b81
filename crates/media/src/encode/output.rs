//! The options of one output: how a rung is encoded and wrapped.

use std::ffi::OsString;

use reelway_domain::{EncoderSpeed, RungSize, VideoCodec};

use super::{level, seconds};
use crate::{ChunkPlan, TICKS_PER_SECOND, VideoPlan, input::Args};

/// The longest run of frames without a keyframe. Segments begin with one anyway.
const KEYFRAME_FRAMES_MAX: u32 = 300;
/// B-frames in a row. It is part of the init section, so it is the same for all chunks.
const B_FRAMES: u32 = 3;
/// A keyframe is forced so long before a segment's first frame is due, so that rounding can't push it one frame on.
const KEYFRAME_EARLY_US: i64 = 500;
/// The buffer of the rate control, in seconds at the cap.
const BUFFER_S: u64 = 2;
/// The highest frame rate that SVT-AV1 takes.
const AV1_FRAME_RATE_MAX: u32 = 240;
/// Fragmented MP4 as CMAF has it: no edit list, decode times as planned, a fragment for each keyframe, and nothing after the
/// last one.
const MOVFLAGS: &str = "+cmaf+frag_keyframe+frag_discont+delay_moov+skip_trailer";

/// One output of one process.
pub(super) struct Target<'a> {
    pub(super) video: &'a VideoPlan,
    pub(super) rung: &'a RungSize,
    /// The cap of its bit rate, in bits a second.
    pub(super) cap: u32,
    /// Whose segments begin with keyframes; `None` if only the first frame needs to be one.
    pub(super) chunk: Option<&'a ChunkPlan>,
}

impl Target<'_> {
    /// The constant rate factor in the scale of this rung's codec.
    fn crf(&self) -> u8 {
        self.rung.codec.crf_from(self.video.codec, self.video.crf)
    }

    /// The size of the rate control's buffer, in bits.
    fn buffer(&self) -> u64 {
        u64::from(self.cap) * BUFFER_S
    }
}

/// Adds the options of an output. What ends up in the init section (profile, level, B-frames, time base, colours, the cap)
/// must not differ from chunk to chunk.
pub(super) fn output(args: &mut Vec<OsString>, target: &Target<'_>) {
    // One thread: the output is the same each time, and workers run one process per core.
    args.words(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-threads", "1"]);
    match target.rung.codec {
        VideoCodec::H264 => h264(args, target),
        VideoCodec::Hevc => hevc(args, target),
        VideoCodec::Av1 => av1(args, target),
    }
    args.words([
        "-crf",
        &target.crf().to_string(),
        "-g",
        &KEYFRAME_FRAMES_MAX.to_string(),
    ]);
    args.words([
        "-maxrate",
        &target.cap.to_string(),
        "-bufsize",
        &target.buffer().to_string(),
    ]);
    let keyframes = target.chunk.map(forced_keyframes).unwrap_or_default();
    if !keyframes.is_empty() {
        args.words(["-force_key_frames", &keyframes]);
    }
    args.words(["-map_metadata", "-1", "-map_chapters", "-1"]);
    args.words(["-video_track_timescale", &TICKS_PER_SECOND.to_string()]);
    args.words(["-f", "mp4", "-movflags", MOVFLAGS]);
}

fn h264(args: &mut Vec<OsString>, target: &Target<'_>) {
    // The level is that of the ladder's cap, so that a lower one changes nothing about it.
    let level = level::level(target.rung, target.video.frame_rate_max);
    args.words(["-c:v", "libx264", "-preset", x26x_preset(target.video.speed)]);
    args.words(["-profile:v", "high", "-level:v", level, "-bf", &B_FRAMES.to_string()]);
    args.words(["-x264-params", "stitchable=1"]);
}

/// One thread of any kind, so that the output repeats; closed groups, parameters in the init section only (`hvc1`). The
/// frame rate, which decides the level, is stated: the time base says 90000.
fn hevc(args: &mut Vec<OsString>, target: &Target<'_>) {
    let mut params = format!(
        "log-level=error:info=0:pools=none:frame-threads=1:wpp=0:open-gop=0:repeat-headers=0:bframes={B_FRAMES}:fps={}",
        target.video.frame_rate_max.max(1)
    );
    if let (true, Some(mastering)) = (target.rung.hdr, &target.video.mastering) {
        params += &mastering.x265_params();
    }
    args.words([
        "-c:v",
        "libx265",
        "-preset",
        x26x_preset(target.video.speed),
        "-tag:v",
        "hvc1",
    ]);
    args.words(["-forced-idr", "1", "-x265-params", &params]);
}

/// One logical processor, wherever the system puts it; no keyframes but the first.
fn av1(args: &mut Vec<OsString>, target: &Target<'_>) {
    let params = format!(
        "lp=1:pin=0:scd=0:tune=0:fps-num={}:fps-denom=1",
        target.video.frame_rate_max.clamp(1, AV1_FRAME_RATE_MAX)
    );
    args.words(["-c:v", "libsvtav1", "-preset", av1_preset(target.video.speed)]);
    args.words(["-svtav1-params", &params]);
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

/// x264 and x265 call their presets the same.
fn x26x_preset(speed: EncoderSpeed) -> &'static str {
    match speed {
        EncoderSpeed::Fast => "superfast",
        EncoderSpeed::Standard => "veryfast",
        EncoderSpeed::Quality => "medium",
    }
}

/// From 0, the slowest; those above 10 are for live calls.
fn av1_preset(speed: EncoderSpeed) -> &'static str {
    match speed {
        EncoderSpeed::Fast => "10",
        EncoderSpeed::Standard => "8",
        EncoderSpeed::Quality => "6",
    }
}
