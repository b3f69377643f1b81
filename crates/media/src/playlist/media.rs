//! Media playlists: the segments of one rendition.

use std::{fmt, time::Duration};

/// Whether more segments will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistKind {
    /// All segments are there.
    Vod,
    /// Segments are appended; a player comes back for them.
    Event,
}

/// How much of a file belongs to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteSize {
    /// All of it.
    Whole,
    /// So many bytes from its beginning.
    First(u64),
}

/// A segment, or a keyframe in an I-frame playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the file is, relative to the playlist; `None` for a stretch of time for which there is none.
    pub uri: Option<String>,
    /// How long it lasts. Written in microseconds.
    pub duration: Duration,
    /// How much of the file it is.
    pub size: ByteSize,
}

/// A media playlist. Its `Display` is the file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPlaylist {
    /// Whether more segments will come.
    pub kind: PlaylistKind,
    /// The target duration in seconds, not below the rounded duration of any entry (RFC 8216, 4.3.3.1).
    pub target_s: u64,
    /// Where the init section is, relative to the playlist; `None` for text.
    pub init_uri: Option<String>,
    /// The entries hold one keyframe each, for fast search (RFC 8216, 4.3.3.6).
    pub keyframes_only: bool,
    /// The entries, in order.
    pub entries: Vec<Entry>,
}

/// The lowest version with `EXT-X-MAP` outside of I-frame playlists is 6; fragmented MP4 is common from 7 on.
const VERSION: u32 = 7;
/// Clients don't fetch it, but a line must be there (draft-pantos-hls-rfc8216bis, 4.4.4.7).
const GAP_URI: &str = "gap";

/// Where a viewer begins, in seconds: with the first segment, all of which is shown (RFC 8216, 4.3.5.2). Not 0, which Shaka
/// Player takes for not being told, and then begins near the end.
const START_S: &str = "0.001";

impl MediaPlaylist {
    /// The target duration for entries of these durations, in seconds: the longest, rounded as the rule wants it.
    #[must_use]
    pub fn target_s(durations: impl IntoIterator<Item = Duration>) -> u64 {
        let rounded = |d: Duration| (d + Duration::from_millis(500)).as_secs();
        durations.into_iter().map(rounded).max().unwrap_or(0).max(1)
    }
}

impl fmt::Display for MediaPlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}",
            self.target_s
        )?;
        let kind = match self.kind {
            PlaylistKind::Vod => "VOD",
            PlaylistKind::Event => "EVENT",
        };
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:{kind}")?;
        if self.kind == PlaylistKind::Event {
            // Otherwise a player would begin near the end, as in a broadcast (RFC 8216, 6.3.3).
            writeln!(f, "#EXT-X-START:TIME-OFFSET={START_S}")?;
        }
        f.write_str(if self.keyframes_only {
            "#EXT-X-I-FRAMES-ONLY\n"
        } else {
            "#EXT-X-INDEPENDENT-SEGMENTS\n"
        })?;
        if let Some(uri) = &self.init_uri {
            writeln!(f, "#EXT-X-MAP:URI=\"{uri}\"")?;
        }
        for entry in &self.entries {
            entry.fmt(f)?;
        }
        if self.kind == PlaylistKind::Vod {
            f.write_str("#EXT-X-ENDLIST\n")
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "#EXTINF:{}.{:06},",
            self.duration.as_secs(),
            self.duration.subsec_micros()
        )?;
        if let ByteSize::First(bytes) = self.size {
            writeln!(f, "#EXT-X-BYTERANGE:{bytes}@0")?;
        }
        match &self.uri {
            Some(uri) => writeln!(f, "{uri}"),
            None => writeln!(f, "#EXT-X-GAP\n{GAP_URI}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(kind: PlaylistKind) -> MediaPlaylist {
        let entry = |uri: Option<&str>, ms, size| {
            let duration = Duration::from_millis(ms);
            Entry {
                uri: uri.map(str::to_owned),
                duration,
                size,
            }
        };
        let entries = vec![
            entry(Some("c/a.m4s"), 4_004, ByteSize::Whole),
            entry(None, 4_000, ByteSize::Whole),
            entry(Some("c/b.m4s"), 33, ByteSize::First(812)),
        ];
        let target_s = MediaPlaylist::target_s(entries.iter().map(|e| e.duration));
        MediaPlaylist {
            kind,
            target_s,
            init_uri: Some("c/init.mp4".into()),
            keyframes_only: false,
            entries,
        }
    }

    #[test]
    fn text_of_a_whole_and_of_a_growing_playlist() {
        let text = playlist(PlaylistKind::Vod).to_string();
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"c/init.mp4\"
#EXTINF:4.004000,
c/a.m4s
#EXTINF:4.000000,
#EXT-X-GAP
gap
#EXTINF:0.033000,
#EXT-X-BYTERANGE:812@0
c/b.m4s
#EXT-X-ENDLIST
";
        assert_eq!(text, expected);
        let growing = expected
            .replace(":VOD\n", ":EVENT\n#EXT-X-START:TIME-OFFSET=0.001\n")
            .replace("#EXT-X-ENDLIST\n", "");
        assert_eq!(playlist(PlaylistKind::Event).to_string(), growing);
        let text_track = MediaPlaylist {
            init_uri: None,
            ..playlist(PlaylistKind::Vod)
        };
        let without_map = expected.replace("#EXT-X-MAP:URI=\"c/init.mp4\"\n", "");
        assert_eq!(text_track.to_string(), without_map);
    }

    #[test]
    fn target_is_the_longest_rounded_and_never_zero() {
        let target = |ms: &[u64]| MediaPlaylist::target_s(ms.iter().copied().map(Duration::from_millis));
        assert_eq!(
            [target(&[]), target(&[20]), target(&[4499, 100]), target(&[4500])],
            [1, 1, 4, 5]
        );
    }
}
