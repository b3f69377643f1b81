//! Fragmented MP4 pieces: reads what ffmpeg wrote for one chunk, cuts it at the planned segments and gives every frame
//! its exact time.
//!
//! ffmpeg can't know how long a chunk's last frame lasts, and for variable frame rates its decode times are guesses too.
//! Here both are computed from the presentation times, so that decode times run on without a gap from chunk to chunk and
//! the pieces of all chunks share one init section.
//!
//! The boxes are those of ISO/IEC 14496-12, the segments those of CMAF (ISO/IEC 23000-19). Input comes from a decoder
//! that was fed with a stranger's file: every length is checked before it is believed.

mod audio;
mod boxes;
mod codec;
mod error;
mod fragment;
mod init;
mod reader;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timeline;
mod track;
mod video;
mod weight;
mod writer;

pub(crate) use audio::{FRAME_SAMPLES, frame_at, segment_starts};
pub use audio::{audio_starts, recut_audio};
pub use boxes::FourCc;
pub use error::Fmp4Error;
pub use track::{RecutSegment, RecutTrack};
pub use video::recut_video;
pub(crate) use weight::{Weight, weigh};
