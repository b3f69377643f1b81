//! Publishing: checks that the pieces of all tasks make one whole, and writes the playlists.

mod damage;
mod joined;
mod lists;
mod pieces;
mod rates;
#[cfg(test)]
mod tests;

use reelway_domain::{Failure, Reason, RenditionInfo};

pub use pieces::{AudioPieces, ChunkPieces, Piece, PieceSet};

use crate::Plan;

/// The name of the playlist that players open.
pub const MASTER_PLAYLIST: &str = "master.m3u8";
/// The name of the audio rendition.
pub const AUDIO_RENDITION: &str = "audio";

/// A job that can be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The playlists, the multivariant one last: whoever writes them in this order publishes nothing unfinished.
    pub playlists: Vec<PlaylistFile>,
    /// What a player can choose, video largest first, then audio.
    pub renditions: Vec<RenditionInfo>,
    /// How many video frames the plan has.
    pub frames_planned: i64,
    /// How many of them could not be decoded, in the rendition that lacks most.
    pub frames_missing: i64,
}

/// The text of one playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaylistFile {
    /// The name below `/play/{job}/`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Joins the pieces of all chunks and of the audio to playlists. Pieces are named `c/` and their key there. No I/O.
///
/// A chunk of which nothing could be decoded becomes a gap (`EXT-X-GAP`), as long as the plan allows so much to be
/// missing.
///
/// # Errors
/// - [`Reason::SourceDamaged`] if more is missing than the plan allows, with the numbers in the metadata:
///   `missingFrames`, `frames` and `firstMissingSeconds` for video, `missingMs` and `durationMs` for audio.
/// - [`Reason::Internal`] if the pieces are not those of the plan: a chunk or a rung is not there or there twice, init
///   sections differ, segments are not contiguous or differ between rungs.
pub fn package(plan: &Plan, chunks: &[ChunkPieces], audio: Option<&AudioPieces>) -> Result<Package, Failure> {
    let video = match &plan.video {
        Some(video) => joined::video(video, chunks)?,
        None if chunks.is_empty() => Vec::new(),
        None => return Err(inconsistent("there are chunks of a video that was not planned")),
    };
    let damage = match &plan.video {
        Some(planned) => damage::of_video(planned, &video)?,
        None => damage::VideoDamage::default(),
    };
    let audio = match (&plan.audio, audio) {
        (Some(planned), Some(AudioPieces(made))) => {
            let joined = joined::audio(made)?;
            damage::check_audio(planned, &joined, plan.video.as_ref())?;
            // A track that is over before its first frame is none.
            (!joined.spans.is_empty()).then_some((planned, joined))
        }
        (None, None) => None,
        _ => return Err(inconsistent("the pieces of the audio are not as planned")),
    };
    if video.is_empty() && audio.is_none() {
        return Err(Failure::new(
            Reason::SourceDamaged,
            "nothing of the source could be decoded",
        ));
    }
    let (playlists, renditions) = lists::write(plan, &video, audio.as_ref());
    let (frames_planned, frames_missing) = (damage.planned, damage.missing);
    Ok(Package {
        playlists,
        renditions,
        frames_planned,
        frames_missing,
    })
}

/// Pieces that don't fit together: a defect, not the source's fault.
fn inconsistent(what: impl Into<String>) -> Failure {
    Failure::new(Reason::Internal, what)
}
