//! The indexed copy of sources whose containers can't be searched by time.
//!
//! A seek in MPEG-TS, for example, lands somewhere and loses frames without a word. The copy holds the same encoded
//! pictures and sound in Matroska, whose index is exact.

use std::path::PathBuf;

use crate::{
    Error, Probe, Workspace, ffmpeg,
    input::{self, Args},
    probe::refused,
    sandbox::file_url,
};

/// Containers without an index that can be trusted.
const UNINDEXED: [&str; 5] = ["mpegts", "mpeg", "avi", "flv", "ogg"];
/// The copy's name in the scratch directory.
const FILE_NAME: &str = "mezzanine.mkv";
/// The copy may be a quarter larger than the source, and so many bytes more: small packets get larger headers.
const GROWTH_BYTES: u64 = 64 << 20;

/// Whether chunks of this source must be read from a copy. Audio is read from its start, so alone it needs none.
pub(super) fn is_needed(probe: &Probe) -> bool {
    probe.video.is_some() && probe.is_in(&UNINDEXED)
}

/// Copies the streams that are used, video first.
///
/// # Errors
/// `SOURCE_DAMAGED` if it can't be copied; the rest is about this run.
pub(super) async fn make(work: &Workspace<'_>, probe: &Probe) -> Result<PathBuf, Error> {
    let source_bytes = tokio::fs::metadata(work.source)
        .await
        .map_err(|e| Error::io("reading the source", &e))?
        .len();
    let file = work.scratch.join(FILE_NAME);
    let mut args = Vec::new();
    args.extend(input::guards(work.tools.limits()));
    args.words(["-fflags", "+genpts"]);
    args.extend(input::input(work.source));
    if let Some(video) = &probe.video {
        args.words(["-map", &format!("0:{}", video.index)]);
        if video.codec == "mpeg4" {
            // Old AVI files pack two pictures into one packet.
            args.words(["-bsf:v", "mpeg4_unpack_bframes"]);
        }
    }
    for audio in &probe.audios {
        args.words(["-map", &format!("0:{}", audio.index)]);
    }
    args.words(["-c", "copy", "-map_metadata", "-1", "-map_chapters", "-1"]);
    for (place, audio) in probe.audios.iter().enumerate() {
        let option = format!("-metadata:s:a:{place}");
        args.words([option.as_str(), &format!("language={}", audio.language)]);
    }
    args.words(["-f", "matroska"]);
    args.push(file_url(&file));
    let bytes_max = source_bytes + source_bytes / 4 + GROWTH_BYTES;
    let limits = work.tools.limits();
    let finished = ffmpeg::finish(work, args, bytes_max, limits.stall_max, |_| {}).await?;
    if finished.status.success() {
        Ok(file)
    } else {
        Err(refused(finished, true, limits))
    }
}
