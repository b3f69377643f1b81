//! HLS playlists (RFC 8216 and its successor draft), written so that Apple's authoring specification is kept too.

#[cfg(test)]
mod check;
mod media;
mod multivariant;

pub use media::{ByteSize, Entry, MediaPlaylist, PlaylistKind};
pub use multivariant::{AudioGroup, Bandwidth, IFrames, MultivariantPlaylist, Picture, Variant};

#[cfg(test)]
pub(crate) use check::violations;
