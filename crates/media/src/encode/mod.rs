//! The ffmpeg command lines that make something: chunks of video, the audio track, the poster.

mod audio;
mod chunk;
mod graph;
mod level;
mod poster;

pub use self::{
    audio::encode_audio,
    chunk::{ChunkOutput, encode_chunk},
    poster::take_poster,
};

/// The largest file that one encoder may write, in bytes: far more than a chunk or an audio track can have.
const OUTPUT_BYTES_MAX: u64 = 4 << 30;
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
mod tests;
