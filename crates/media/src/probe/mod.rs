//! What a source is: one run of ffprobe over the headers, and a refusal in plain words if nothing can be made of it.

pub(crate) mod container;
mod encrypted;
mod geometry;
mod language;
mod mastering;
mod raw;
mod streams;

use std::path::Path;

use reelway_domain::{Failure, Reason, SourceInfo};
use serde::{Deserialize, Serialize};

pub use self::mastering::Mastering;
pub(crate) use self::mastering::read as read_mastering;
use self::raw::RawProbe;
use crate::{
    Error, Limits, Rational, SourceSetting, Workspace, ffprobe,
    sandbox::{self, Finished, Step},
};

/// The most that ffprobe may say about a file, in bytes; one stream takes about 1 KiB.
const REPORT_BYTES_MAX: usize = 1 << 20;

/// What ffprobe is asked for: numbers and words of fixed lists. The one text that the file's author chose is a track's
/// language, of which only what is a language code is kept.
const ENTRIES: &str = "format=format_name,start_time,duration,nb_streams\
    :stream=index,codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,field_order,color_space,\
    color_transfer,color_primaries,time_base,avg_frame_rate,r_frame_rate,sample_rate,channels\
    :stream_disposition=default,forced,attached_pic,still_image,timed_thumbnails\
    :stream_tags=language\
    :stream_side_data=rotation";

const NOT_MEDIA: &str =
    "The file is not a video or audio file that is known here. Upload an MP4, MOV, MKV, WebM, TS, AVI or audio file.";
const DAMAGED: &str =
    "The file begins like a media file, but its headers can't be understood. Copy it again from where it was made.";

/// What the headers of a source say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The container in ffmpeg's words, for example `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// The time of the first packet of all streams, in microseconds of the source's clock.
    pub start_us: i64,
    /// The duration that the container claims, in milliseconds; 0 if it claims none.
    pub duration_ms: i64,
    /// The video stream that is used, if there is one.
    pub video: Option<VideoStream>,
    /// The audio streams that are used, the default one first.
    pub audios: Vec<AudioStream>,
    /// The text streams that are used, in the container's order.
    #[serde(default)]
    pub subtitles: Vec<SubtitleStream>,
}

/// The video stream that is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoStream {
    /// Its index in the container.
    pub index: u32,
    /// The codec in ffprobe's words.
    pub codec: String,
    /// The unit of its timestamps, in seconds.
    pub time_base: Rational,
    /// The width as shown, after rotation and with square pixels.
    pub width: u32,
    /// The height as shown, after rotation and with square pixels.
    pub height: u32,
    /// The average frame rate that the container claims, in frames a second; 0 if it claims none.
    pub frame_rate: f64,
    /// The pictures are made of two fields taken at different times.
    pub interlaced: bool,
    /// What the numbers of a pixel mean; words of ffmpeg, each empty if the source doesn't tell.
    pub colour: Colour,
}

/// What the numbers of a pixel mean, in ffmpeg's words (the tables of ITU-T H.273); empty where the source doesn't tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// The primaries.
    pub primaries: String,
    /// The transfer characteristics.
    pub transfer: String,
    /// The matrix coefficients.
    pub matrix: String,
}

/// An audio stream that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioStream {
    /// Its index in the container.
    pub index: u32,
    /// The codec in ffprobe's words.
    pub codec: String,
    /// The unit of its timestamps, in seconds.
    pub time_base: Rational,
    /// How many channels.
    pub channels: u32,
    /// Samples a second; 0 if the container doesn't tell.
    #[serde(default)]
    pub sample_rate: u32,
    /// The language as BCP 47 names it; empty if the source doesn't tell.
    #[serde(default)]
    pub language: String,
}

/// A text stream that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitleStream {
    /// Its index in the container.
    pub index: u32,
    /// The codec in ffprobe's words.
    pub codec: String,
    /// The language as BCP 47 names it; empty if the source doesn't tell.
    pub language: String,
    /// The container says that it is to be shown also to those who did not ask for subtitles.
    pub forced: bool,
    /// The container says that it is the one to show.
    pub default: bool,
}

/// Finds out what `work.source` is.
///
/// # Errors
/// `SOURCE_EMPTY`, `SOURCE_NOT_MEDIA`, `SOURCE_NO_STREAMS`, `SOURCE_CODEC_UNSUPPORTED`, `SOURCE_TRUNCATED`,
/// `SOURCE_DAMAGED` and `SOURCE_LIMIT_EXCEEDED` are about the source and will not change; the rest is about this run.
pub async fn probe(work: &Workspace<'_>) -> Result<Probe, Error> {
    let known = container::check(work.source).await?;
    ask(work, work.source, known).await
}

/// Finds out what a file is of which `work.source` is the beginning: it may say that it is longer.
///
/// # Errors
/// As [`probe`].
pub async fn probe_beginning(work: &Workspace<'_>) -> Result<Probe, Error> {
    container::check_beginning(work.source).await?;
    probe_own(work, work.source).await
}

/// The probe of a file that we wrote ourselves, which needs no look at its container.
pub(crate) async fn probe_own(work: &Workspace<'_>, file: &Path) -> Result<Probe, Error> {
    ask(work, file, true).await
}

impl Colour {
    /// High dynamic range: perceptual quantization (SMPTE ST 2084) or hybrid log-gamma (ARIB STD-B67).
    pub(crate) fn is_hdr(&self) -> bool {
        matches!(self.transfer.as_str(), "smpte2084" | "arib-std-b67")
    }
}

impl Probe {
    /// The summary that callers see. It holds what the headers claim until a plan has counted.
    #[must_use]
    pub fn source_info(&self) -> SourceInfo {
        let video = self.video.as_ref();
        let audio = self.audios.first();
        SourceInfo {
            container: self.container.clone(),
            duration_ms: self.duration_ms,
            video_codec: video.map(|v| v.codec.clone()).unwrap_or_default(),
            width: video.map_or(0, |v| v.width),
            height: video.map_or(0, |v| v.height),
            frame_rate: video.map_or(0.0, |v| v.frame_rate),
            frames: 0,
            audio_codec: audio.map(|a| a.codec.clone()).unwrap_or_default(),
            audio_channels: audio.map_or(0, |a| a.channels),
        }
    }

    /// Whether the container is one of these, by ffmpeg's names.
    pub(crate) fn is_in(&self, names: &[&str]) -> bool {
        self.container.split(',').any(|name| names.contains(&name))
    }
}

async fn ask(work: &Workspace<'_>, file: &Path, known: bool) -> Result<Probe, Error> {
    let limits = work.tools.limits();
    let invocation = ffprobe::invocation(work, file, "json", ENTRIES, limits.probe_wall_max, None);
    let mut report = String::new();
    let finished = sandbox::run(limits, invocation, work.cancel, |line| {
        if report.len() + line.len() > REPORT_BYTES_MAX {
            return Err(Error::new(
                Reason::SourceLimitExceeded,
                "The file describes too many streams.",
            ));
        }
        report.push_str(line);
        Ok(Step::Moved)
    })
    .await?;
    if !finished.status.success() {
        return Err(refused(finished, known, limits));
    }
    read_report(&report, limits)
}

/// What ffprobe tells of a file. Its numbers are the file's.
pub(crate) fn read_report(report: &str, limits: &Limits) -> Result<Probe, Error> {
    let raw: RawProbe = serde_json::from_str(report).map_err(|error| Error::Failed {
        failure: Failure::new(Reason::SourceDamaged, DAMAGED),
        stderr_tail: format!("ffprobe's report: {error}"),
    })?;
    Ok(understand(&raw, limits)?)
}

/// Why ffprobe, or ffmpeg where it only copies, gave up on a file; `known` if its outermost elements are those of a media file.
pub(crate) fn refused(finished: Finished, known: bool, limits: &Limits) -> Error {
    // It exits with 1 if it can't use the file; anything else (a signal, a missing library) is not the file's fault.
    if finished.status.code() != Some(1) {
        return finished.into_error();
    }
    if let Some(decoder) = between(&finished.stderr, "Codec (", ") not on whitelist") {
        let failure = streams::unsupported("", decoder);
        return Error::Failed {
            failure,
            stderr_tail: finished.stderr,
        };
    }
    if let Some(size) = between(&finished.stderr, "Picture size ", " exceeds specified max pixel count") {
        let failure = streams::too_large(size, limits);
        return Error::Failed {
            failure,
            stderr_tail: finished.stderr,
        };
    }
    // In the words of strerror(3): this machine's trouble. Whatever else it says, it says of the file.
    let ours = [
        "Cannot allocate memory",
        "Permission denied",
        "No such file",
        "Input/output error",
        "Too many open files",
        "No space left on device",
        "Disk quota exceeded",
    ];
    if ours.iter().any(|words| finished.stderr.contains(words)) {
        return finished.into_error();
    }
    if known {
        finished.failed(Reason::SourceDamaged, DAMAGED)
    } else {
        finished.failed(Reason::SourceNotMedia, NOT_MEDIA)
    }
}

/// The words between two others on one line.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.split_once(before)?.1.split_once(after).map(|(found, _)| found))
}

fn understand(raw: &RawProbe, limits: &Limits) -> Result<Probe, Failure> {
    let count = raw.format.nb_streams.max(raw.streams.len());
    check_count(SourceSetting::Streams, "streams", count, limits.streams_max)?;
    let chosen = streams::choose(&raw.streams, limits)?;
    let duration_ms = raw.format.duration_ms();
    check_duration(duration_ms, limits)?;
    Ok(Probe {
        container: raw.format.format_name.clone(),
        start_us: raw.format.start_us(),
        duration_ms,
        video: chosen.video,
        audios: chosen.audios,
        subtitles: chosen.subtitles,
    })
}

/// Refuses more of something than the operator wants.
fn check_count(setting: SourceSetting, what: &str, actual: usize, max: usize) -> Result<(), Failure> {
    if actual <= max {
        return Ok(());
    }
    let message = format!("The source has {actual} {what}; at most {max} are taken.");
    Err(setting.exceeded(message, max, actual))
}

/// Refuses what is longer than the operator wants.
///
/// # Errors
/// `SOURCE_LIMIT_EXCEEDED`.
pub(crate) fn check_duration(duration_ms: i64, limits: &Limits) -> Result<(), Failure> {
    let max = limits.duration_max.as_secs();
    let seconds = u64::try_from(duration_ms / 1000).unwrap_or(0);
    if seconds <= max {
        return Ok(());
    }
    let message = format!("The source is {seconds} s long; at most {max} s are taken.");
    Err(SourceSetting::Duration.exceeded(message, max, seconds))
}

/// Refuses more frames a second than the operator wants, which are work that the duration doesn't show.
///
/// # Errors
/// `SOURCE_LIMIT_EXCEEDED`.
pub(crate) fn check_frame_rate(frames: usize, duration_ms: i64, limits: &Limits) -> Result<(), Failure> {
    let max = limits.frame_rate_max;
    let (frames, milliseconds) = (frames as u128, u128::try_from(duration_ms).unwrap_or(0).max(1000));
    if frames * 1000 <= u128::from(max) * milliseconds {
        return Ok(());
    }
    let actual = u64::try_from(frames * 1000 / milliseconds).unwrap_or(u64::MAX);
    let message = format!("The source has {actual} frames a second; at most {max} are taken.");
    Err(SourceSetting::FrameRate.exceeded(message, max, actual))
}

#[cfg(test)]
mod tests;
