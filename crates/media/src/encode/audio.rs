//! The audio track, whole: pieces encoded one by one would each add their encoder's delay.

use std::path::PathBuf;

use super::{output_bytes_max, seconds};
use crate::{
    AudioPlan, EncodeProgress, Error, Workspace, ffmpeg,
    input::{self, Args},
    plan::SEGMENT_MS,
    sandbox::file_url,
};

/// The output's name in the scratch directory.
const FILE_NAME: &str = "audio.mp4";
/// Fragmented MP4 as CMAF has it: no edit list, and nothing after the last fragment.
const MOVFLAGS: &str = "+cmaf+delay_moov+skip_trailer";
/// The encoder's delay in samples: its first packet decodes to so many samples before the sound. Players don't skip them
/// in fragmented MP4, so as many are taken from the front, and everything is heard on time.
const PRIMING_SAMPLES: u32 = 1024;

/// Encodes the audio track into `audio.mp4` in `work.scratch`: AAC at 48 kHz in fragments of about a segment each, time 0
/// at the plan's `base_us`. Gaps become silence, so that sound and picture stay together.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub async fn encode_audio(
    work: &Workspace<'_>,
    audio: &AudioPlan,
    mut progress: impl FnMut(EncodeProgress) + Send,
) -> Result<PathBuf, Error> {
    let file = work.scratch.join(FILE_NAME);
    let filters = format!(
        "asetpts=PTS-({})/TB,aresample=48000:async=1:min_hard_comp=0.02:first_pts=0,\
         atrim=start_sample={PRIMING_SAMPLES},asetpts=PTS-STARTPTS",
        seconds(audio.base_us)
    );
    let mut args = Vec::new();
    args.words(["-copyts", "-vn", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    args.extend(input::input(work.source));
    args.words([
        "-map",
        &format!("0:{}", audio.stream_index),
        "-filter_threads",
        "1",
        "-af",
        &filters,
    ]);
    args.words([
        "-threads",
        "1",
        "-c:a",
        "aac",
        "-b:a",
        &audio.bitrate.to_string(),
        "-ac",
        &audio.channels.to_string(),
    ]);
    args.words(["-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4"]);
    args.words([
        "-frag_duration",
        &(SEGMENT_MS * 1000).to_string(),
        "-movflags",
        MOVFLAGS,
    ]);
    args.push(file_url(&file));
    let bytes_max = output_bytes_max(audio.bitrate, audio.duration_ms);
    ffmpeg::run(work, args, bytes_max, work.tools.limits().stall_max, |block| {
        let done_ms = (block.out_time_us / 1000).clamp(0, audio.duration_ms);
        progress(EncodeProgress {
            frames: 0,
            done_ms,
            speed: block.speed,
        });
    })
    .await?;
    Ok(file)
}
