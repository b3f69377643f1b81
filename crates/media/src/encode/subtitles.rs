//! A text track as WebVTT.

use std::path::PathBuf;

use reelway_domain::{Failure, Reason};

use crate::{
    Error, SubtitlePlan, Workspace, ffmpeg,
    input::{self, Args},
    sandbox::file_url,
    webvtt,
};

/// What ffmpeg makes of the track, and what is made of that.
const RAW_NAME: &str = "raw.vtt";
const FILE_NAME: &str = "subtitles.vtt";
/// The largest text that is taken, in bytes. That of a film has 100 KB.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Words are far between: a process may read on for so many times the usual time without finding any.
const STALL_TIMES: u32 = 4;

/// A WebVTT file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtitleText {
    /// Where it is, in the scratch directory.
    pub file: PathBuf,
    /// How many bytes it has.
    pub bytes: u64,
    /// When its last cue ends, in milliseconds from time 0.
    pub duration_ms: i64,
    /// How many cues it holds.
    pub cues: u32,
}

/// Reads a text track into `subtitles.vtt` in `work.scratch`: only text, with times in milliseconds from `base_us` of the
/// source's clock, and nothing after `duration_ms`. The whole source must be there.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`; `SOURCE_LIMIT_EXCEEDED` for more than 16 MiB of
/// text.
pub async fn read_subtitles(
    work: &Workspace<'_>,
    subtitles: &SubtitlePlan,
    base_us: i64,
    duration_ms: i64,
) -> Result<SubtitleText, Error> {
    let raw = work.scratch.join(RAW_NAME);
    let mut args = Vec::new();
    // Timestamps stay those of the source, as everywhere.
    args.words(["-copyts", "-vn", "-an", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    args.extend(input::input(work.source));
    args.words(["-map", &format!("0:{}", subtitles.stream_index), "-c:s", "webvtt"]);
    args.words(["-map_metadata", "-1", "-map_chapters", "-1", "-f", "webvtt"]);
    args.push(file_url(&raw));
    let stall_max = work.tools.limits().stall_max.saturating_mul(STALL_TIMES);
    ffmpeg::run(work, args, TEXT_BYTES_MAX, stall_max, |_| {}).await?;
    let read = tokio::fs::read(&raw).await;
    let read = read.map_err(|error| Error::io("reading the subtitles", &error))?;
    if read.len() as u64 >= TEXT_BYTES_MAX {
        let message = format!("A text track has more than {TEXT_BYTES_MAX} bytes.");
        return Err(Failure::new(Reason::SourceLimitExceeded, message).into());
    }
    let out = webvtt::rewritten(&String::from_utf8_lossy(&read), base_us / 1000, duration_ms);
    let file = work.scratch.join(FILE_NAME);
    let written = tokio::fs::write(&file, &out.text).await;
    written.map_err(|error| Error::io("writing the subtitles", &error))?;
    Ok(SubtitleText {
        file,
        bytes: out.text.len() as u64,
        duration_ms: out.end_ms,
        cues: out.cues,
    })
}
