//! Everything that knows media: probe, packet index, plan, ffmpeg command lines, fMP4 pieces, playlists, and the sandbox
//! around every ffmpeg process.
//!
//! The order of use is `probe` → `plan` → (`encode_chunk` for each chunk, `encode_audio`, `read_subtitles`, `take_poster`) → `package`.

mod download;
mod encode;
mod error;
mod ffmpeg;
mod ffprobe;
pub mod fmp4;
#[cfg(test)]
mod hostile;
mod index;
mod input;
mod layout;
mod limits;
mod opening;
mod outline;
mod package;
mod pieces;
mod plan;
pub mod playlist;
mod probe;
mod progress;
mod samples;
mod sandbox;
#[cfg(test)]
mod testbench;
mod tools;
mod urgency;
mod webvtt;

pub use download::{DownloadTracks, download_rung, make_download};
pub use encode::{
    AudioReading, Caps, ChunkJob, ChunkOutput, EncodedAudio, Heard, Rungs, Storyboard, SubtitleText, Trial,
    chunk_bytes, draw_storyboard, encode_audio, encode_chunk, encode_chunk_thriftily, memory_mib, read_subtitles,
    take_poster, trial_chunks, try_out, undecoded_ms,
};
pub use error::Error;
pub use layout::{Arrived, Layout, layout};
pub use limits::{Limits, SourceSetting};
pub use outline::outline;
pub use package::{
    AUDIO_RENDITION, AudioPieces, ChunkPieces, Growing, MANIFEST, MASTER_PLAYLIST, Made, Package, Piece, PieceSet,
    PlaylistFile, RunPieces, SubtitlePieces, package, package_growing,
};
pub use pieces::passed_over;
pub use plan::{
    AudioPlan, AudioRun, AudioSeek, ByteRange, ChunkPlan, Plan, PlanView, Rational, SegmentPlan, SubtitlePlan,
    TICKS_PER_SECOND, VideoPlan, make_beginning_plan, make_early_plan, make_further_plan, make_plan,
    make_windowed_plan,
};
pub use probe::{AudioStream, Colour, Mastering, Probe, SubtitleStream, VideoStream, probe, probe_beginning};
pub use progress::EncodeProgress;
pub use samples::bytes_min;
pub use sandbox::{Confinement, SandboxLevel};
pub use tools::{Features, Tools, Workspace};
pub use urgency::Urgency;
