//! What outputs are, by their names.

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType {
    /// As HTTP names it (RFC 8216 section 4).
    pub name: &'static str,
    /// It is a playlist or the like: small, and much smaller when it is compressed.
    pub is_text: bool,
    /// Its bytes never change under its key. Playlists are written anew while a video grows.
    pub is_fixed: bool,
}

impl MediaType {
    /// That of the output with this name, which is one that we gave it.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let (name, is_text, is_fixed) = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("m3u8") => ("application/vnd.apple.mpegurl", true, false),
            Some("mpd") => ("application/dash+xml", true, false),
            Some("vtt") => ("text/vtt", true, true),
            Some("jpg") => ("image/jpeg", false, true),
            Some("mp4") => ("video/mp4", false, true),
            Some("m4s") => ("video/iso.segment", false, true),
            _ => ("application/octet-stream", false, true),
        };
        Self {
            name,
            is_text,
            is_fixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_output_has_its_type() {
        for (key, name, is_text, is_fixed) in [
            ("master.m3u8", "application/vnd.apple.mpegurl", true, false),
            ("manifest.mpd", "application/dash+xml", true, false),
            ("subtitles-0000-e1/subtitles.vtt", "text/vtt", true, true),
            ("storyboard-0000-e1/a.jpg", "image/jpeg", false, true),
            ("download.mp4", "video/mp4", false, true),
            ("video-0000-e1/720p-00000.m4s", "video/iso.segment", false, true),
            ("plan", "application/octet-stream", false, true),
        ] {
            let expected = MediaType {
                name,
                is_text,
                is_fixed,
            };
            assert_eq!(MediaType::of(key), expected, "{key}");
        }
    }
}
