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
use crate::{
    TICKS_PER_SECOND,
    plan::ticks_to_ms,
    progress::{Block, EncodeProgress},
};

/// The largest file that one encoder may write, in bytes: far more than a chunk or an audio track can have.
const OUTPUT_BYTES_MAX: u64 = 4 << 30;
/// What a block says about a part that begins at `start_ticks` and lasts `duration_ms`.
fn progress_of(block: &Block, start_ticks: i64, duration_ms: i64) -> EncodeProgress {
    let start_us = start_ticks.saturating_mul(1_000_000) / TICKS_PER_SECOND;
    let done_ms = (block.out_time_us.saturating_sub(start_us) / 1000).clamp(0, duration_ms.max(0));
    EncodeProgress {
        frames: block.frames,
        done_ms,
        speed: block.speed,
    }
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
mod tests;
