//! HLS playlists (RFC 8216 and its successor draft), written so that Apple's authoring specification is kept too, and held
//! against both before they are published.

mod check;
mod media;
mod multivariant;

pub use check::violations;
pub use media::{ByteSize, Entry, MediaPlaylist, PlaylistKind};
pub use multivariant::{Alternative, Bandwidth, Group, IFrames, MultivariantPlaylist, Picture, Variant, VideoRange};
