//! The ffmpeg command lines that make something: chunks of video, the audio track, the poster.

mod audio;
mod choice;
mod chunk;
mod excerpts;
mod graph;
mod join;
mod level;
mod likeness;
mod memory;
mod output;
mod poster;
mod storyboard;
mod subtitles;
mod thrift;
mod trial;

pub use self::{
    audio::{AudioReading, EncodedAudio, Heard, encode_audio, undecoded_ms},
    choice::{Caps, ChunkJob, Rungs},
    chunk::{ChunkOutput, chunk_bytes, encode_chunk},
    excerpts::trial_chunks,
    memory::memory_mib,
    poster::take_poster,
    storyboard::{Storyboard, draw_storyboard},
    subtitles::{SubtitleText, read_subtitles},
    thrift::encode_chunk_thriftily,
    trial::{Trial, try_out},
};

pub(crate) use self::audio::FRAMES_BEFORE_ZERO;

/// What an output may have beyond what its bit rate says: headers, and pictures that come faster than the clock.
const OUTPUT_SLACK_BYTES: u64 = 64 << 20;

/// The largest file that an encoder with this bit rate cap may write for so long a piece: twice what is to be expected. So
/// scratch space is bounded by what is encoded at a time.
fn output_bytes_max(bits_per_second: u32, duration_ms: i64) -> u64 {
    let duration_ms = u64::try_from(duration_ms).unwrap_or(0);
    (u64::from(bits_per_second) / 4).saturating_mul(duration_ms.div_ceil(1000)) + OUTPUT_SLACK_BYTES
}

/// Seconds as ffmpeg's options take them, exact to the microsecond.
fn seconds(us: i64) -> String {
    format!(
        "{}{}.{:06}",
        if us < 0 { "-" } else { "" },
        us.unsigned_abs() / 1_000_000,
        us.unsigned_abs() % 1_000_000
    )
}

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial_tests;
