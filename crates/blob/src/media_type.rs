//! What outputs are, by their names.

/// The media type of an output, and whether its bytes never change under its key. Playlists are written anew while a video grows.
#[must_use]
pub fn media_type(key: &str) -> (&'static str, bool) {
    match key.rsplit_once('.').map(|(_, extension)| extension) {
        Some("m3u8") => ("application/vnd.apple.mpegurl", false),
        Some("mpd") => ("application/dash+xml", false),
        Some("vtt") => ("text/vtt; charset=utf-8", true),
        Some("jpg") => ("image/jpeg", true),
        Some("mp4") => ("video/mp4", true),
        Some("m4s") => ("video/iso.segment", true),
        _ => ("application/octet-stream", true),
    }
}
