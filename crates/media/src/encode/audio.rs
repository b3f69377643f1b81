//! One run of an audio track.
//!
//! The encoder of each run gets some frames of sound before and behind the run, which are thrown away when the run is cut:
//! so its first frame overlaps the same sound as the frame before it, which another process encodes, and runs join without
//! a seam. Everything before the encoder is exact to the sample: where a run begins doesn't change where a sound is heard.

mod heard;

use std::{ffi::OsString, path::PathBuf};

use reelway_domain::Reason;

pub use self::heard::{Heard, undecoded_ms};
use super::{output_bytes_max, seconds};
use crate::{
    AudioPlan, AudioRun, AudioSeek, EncodeProgress, Error, Workspace, ffmpeg,
    fmp4::FRAME_SAMPLES,
    input::{self, Args},
    progress::Block,
    sandbox::file_url,
};

/// The output's name in the scratch directory.
const FILE_NAME: &str = "audio.mp4";
/// Fragmented MP4 as CMAF has it: no edit list, decode times as they are, and nothing after the last fragment. The init
/// section is written before any sound is known, so that it is the same for all runs.
const MOVFLAGS: &str = "+cmaf+frag_discont+skip_trailer";
/// How long a fragment is, in microseconds.
const FRAGMENT_US: &str = "4000000";
/// Sound goes on from sample to sample, until a time is so far off that there is a gap (which becomes silence) or too much.
const KEEP_TIME: &str = "aresample=async=1:min_hard_comp=0.02";
/// Frames that the encoder gets before a run, so that it has settled when the run begins, and behind it.
const LEAD_IN_FRAMES: i64 = 16;
const LEAD_OUT_FRAMES: i64 = 4;
/// Frame 0 is so many frames behind time 0 of the file: boxes have no negative times.
pub(crate) const FRAMES_BEFORE_ZERO: i64 = 64;
/// The sound is cut at a multiple of so many microseconds. In it, all usual sampling rates have a whole number of samples, and
/// so has the output: every run converts rates from the same places.
const CUT_US: i64 = 40_000;
/// A seek aims so long before the cut: decoders need some packets to settle, and some containers keep sound further back than
/// the picture of the same time.
const SEEK_BACK_US: i64 = 1_000_000;
/// Samples a second of all audio renditions.
const SAMPLE_RATE: i64 = 48_000;
const US_PER_SECOND: i64 = 1_000_000;

/// Where a run's sound is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioReading {
    /// From where the plan says. What is missing is not filled up, so that a bad seek is seen.
    Planned,
    /// From the source's start. What is missing is not filled up, so that it can be counted.
    FromStart,
    /// From the source's start; what is missing is silence.
    FilledUp,
    /// From nowhere: all of the run is silence.
    Silence,
}

/// An encoded run.
#[derive(Debug)]
pub struct EncodedAudio {
    /// `audio.mp4` in the scratch directory.
    pub file: PathBuf,
    /// Which sound of the source it was made of.
    pub heard: Heard,
}

/// Encodes a run of a track into `audio.mp4` in `work.scratch`: AAC at 48 kHz, for [`crate::fmp4::recut_audio`] to cut. Time
/// 0 is the plan's `base_us`. Gaps become silence, so that sound and picture stay together; how much of that is sound which can't be
/// decoded, [`undecoded_ms`] tells.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`; `INTERNAL` if there is no such run.
pub async fn encode_audio(
    work: &Workspace<'_>,
    audio: &AudioPlan,
    run_index: usize,
    reading: AudioReading,
    mut progress: impl FnMut(EncodeProgress) + Send,
) -> Result<EncodedAudio, Error> {
    let no_run = || Error::new(Reason::Internal, format!("the plan has no audio run {run_index}"));
    let run = audio.runs.get(run_index).ok_or_else(no_run)?;
    let file = work.scratch.join(FILE_NAME);
    let seek_us = seek_us(audio, run, reading);
    let mut heard = Heard::new(audio, seek_us);
    let mut args = Vec::new();
    args.words(["-copyts", "-vn", "-threads", "1", "-filter_complex_threads", "1"]);
    let graph = match reading {
        AudioReading::Silence => silence(audio, run),
        AudioReading::Planned | AudioReading::FromStart | AudioReading::FilledUp => {
            sound(work, audio, run, (reading, seek_us), &mut args)
        }
    };
    args.words(["-filter_complex", &graph, "-map", "[run]"]);
    encoder(&mut args, audio);
    args.push(file_url(&file));
    let (start_ms, length_ms) = (frames_to_us(run.start_frame) / 1000, length_ms(audio, run));
    let bytes_max = output_bytes_max(audio.bitrate, length_ms);
    let tell = |block: &Block| {
        let written_ms = (block.out_time_us - frames_to_us(FRAMES_BEFORE_ZERO)) / 1000;
        progress(EncodeProgress {
            frames: 0,
            done_ms: (written_ms - start_ms).clamp(0, length_ms),
            speed: block.speed,
        });
    };
    let stall_max = work.tools.limits().stall_max;
    ffmpeg::listen(work, args, bytes_max, stall_max, tell, |line| heard.line(line))
        .await?
        .checked()?;
    Ok(EncodedAudio { file, heard })
}

/// How long a run is, in milliseconds, by the plan.
fn length_ms(audio: &AudioPlan, run: &AudioRun) -> i64 {
    let end_ms = run.end_frame.map_or(audio.duration_ms, |end| frames_to_us(end) / 1000);
    end_ms.saturating_sub(frames_to_us(run.start_frame) / 1000).max(0)
}

/// Where reading begins, in microseconds of the source's clock; `None`: at its start.
fn seek_us(audio: &AudioPlan, run: &AudioRun, reading: AudioReading) -> Option<i64> {
    let source_us = audio.base_us.saturating_add(cut_us(run));
    Some(source_us.saturating_sub(SEEK_BACK_US))
        .filter(|us| *us > 0 && run.start_frame > 0)
        .filter(|_| audio.seek != AudioSeek::FromStart && reading == AudioReading::Planned)
}

/// Adds the input, and gives the filters that make the run's samples of it.
fn sound(
    work: &Workspace<'_>,
    audio: &AudioPlan,
    run: &AudioRun,
    (reading, seek_us): (AudioReading, Option<i64>),
    args: &mut Vec<OsString>,
) -> String {
    let cut_us = cut_us(run);
    args.extend(input::guards(work.tools.limits()));
    if let Some(us) = seek_us {
        args.words(["-noaccurate_seek", "-seek_timestamp", "1", "-ss", &seconds(us)]);
    }
    args.extend(input::input(work.source));
    let clock = format!("asetpts='floor(PTS-({})/TB+0.5)'", seconds(audio.base_us));
    // Times that tremble are smoothed before the cut, or it would fall where one packet's time says.
    let mut graph = format!(
        "[0:{}]{clock},aformat=sample_rates={},{},{KEEP_TIME},atrim=start={},aresample={SAMPLE_RATE}:{}",
        audio.stream_index,
        audio.sample_rate,
        heard::told(cut_us),
        seconds(cut_us),
        layout(audio)
    );
    if seek_us.is_none() {
        // In samples of the source, whatever the manual says.
        let first = cut_us.saturating_mul(audio.sample_rate.into()) / US_PER_SECOND;
        graph += &format!(":async=1:first_pts={first}");
        if run.end_frame.is_some() && reading == AudioReading::FilledUp {
            graph += ",apad";
        }
    }
    graph + &on_grid(run)
}

/// The filters of a run in which there is nothing to be heard; one that has no end is over at once.
fn silence(audio: &AudioPlan, run: &AudioRun) -> String {
    let layout = if audio.channels == 1 { "mono" } else { "stereo" };
    let (first, end) = (run.start_frame, run.end_frame.unwrap_or(run.start_frame));
    let samples = (LEAD_IN_FRAMES + end - first + LEAD_OUT_FRAMES) * FRAME_SAMPLES;
    format!(
        "anullsrc=r={SAMPLE_RATE}:cl={layout},atrim=end_sample={samples},asetpts=PTS+({}){}",
        (first - LEAD_IN_FRAMES) * FRAME_SAMPLES,
        on_grid(run)
    )
}

/// Where the source's sound is cut, in microseconds from time 0: at or before the first frame of the lead-in.
fn cut_us(run: &AudioRun) -> i64 {
    let lead_in = frames_to_us(run.start_frame - LEAD_IN_FRAMES);
    lead_in.div_euclid(CUT_US) * CUT_US
}

/// From samples at 48 kHz, times from time 0, to those of the run with its lead-in and lead-out.
fn on_grid(run: &AudioRun) -> String {
    let at = |frame: i64| (frame + FRAMES_BEFORE_ZERO) * FRAME_SAMPLES;
    let end = run
        .end_frame
        .map(|end| format!(":end_pts={}", at(end + LEAD_OUT_FRAMES)));
    format!(
        ",asetpts=PTS+{},atrim=start_pts={}{}[run]",
        at(0),
        at(run.start_frame - LEAD_IN_FRAMES),
        end.unwrap_or_default()
    )
}

/// The rendition's channels. More than two are mixed down as A/52 (ATSC, 7.8.2) does it: centre and surround at -3 dB, and all
/// of it so much quieter that nothing is ever too loud.
fn layout(audio: &AudioPlan) -> &'static str {
    if audio.channels == 1 {
        "ocl=mono:rematrix_maxval=1"
    } else {
        "ocl=stereo:rematrix_maxval=1"
    }
}

fn encoder(args: &mut Vec<OsString>, audio: &AudioPlan) {
    args.words(["-threads", "1", "-c:a", "aac", "-b:a", &audio.bitrate.to_string()]);
    args.words(["-ac", &audio.channels.to_string()]);
    args.words(["-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4"]);
    args.words(["-frag_duration", FRAGMENT_US, "-movflags", MOVFLAGS]);
}

/// The start of a frame, in microseconds from time 0, rounded down.
fn frames_to_us(frame: i64) -> i64 {
    (frame * FRAME_SAMPLES * US_PER_SECOND).div_euclid(SAMPLE_RATE)
}

#[cfg(test)]
mod tests;
