//! Everything that knows media: probe, packet index, plan, ffmpeg command lines, fMP4 pieces, playlists, and the sandbox
//! around every ffmpeg process.
//!
//! The order of use is `probe` → `plan` → (`encode_chunk` for each chunk, `encode_audio`, `take_poster`) → `package`.

mod encode;
mod error;
mod ffmpeg;
mod ffprobe;
pub mod fmp4;
mod index;
mod input;
mod limits;
mod package;
mod plan;
pub mod playlist;
mod probe;
mod progress;
mod sandbox;
#[cfg(test)]
mod testbench;
mod tools;

pub use encode::{ChunkOutput, encode_audio, encode_chunk, encode_chunk_thriftily, take_poster};
pub use error::Error;
pub use limits::Limits;
pub use package::{
    AUDIO_RENDITION, AudioPieces, ChunkPieces, MASTER_PLAYLIST, Package, Piece, PieceSet, PlaylistFile, package,
};
pub use plan::{AudioPlan, ChunkPlan, Plan, Rational, SegmentPlan, TICKS_PER_SECOND, VideoPlan, make_plan};
pub use probe::{AudioStream, Colour, Probe, VideoStream, probe};
pub use progress::EncodeProgress;
pub use sandbox::Confinement;
pub use tools::{Tools, Workspace};
