//! The rules that every output keeps, whatever the source is.

use reelway_media::{MASTER_PLAYLIST, playlist};

use super::{
    check::continuous,
    manifest,
    player::{Played, quoted, read_text},
};

/// How far the borders of two rungs' segments may lie apart, in seconds: not at all, but for reckoning.
const BORDER_ERROR_S_MAX: f64 = 1e-9;

/// Holds playlists and boxes against the rules.
pub(super) fn check(played: &Played) {
    let mut files = Vec::new();
    for file in std::fs::read_dir(&played.dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "m3u8") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(playlist::violations(MASTER_PLAYLIST, &files), [""; 0]);
    played.tracks().for_each(continuous);
    aligned(played);
    named(played);
    manifest::check(played);
}

/// The multivariant playlist calls the codecs what the init sections say, and all that can be chosen is in it.
fn named(played: &Played) {
    let text = read_text(&played.dir, MASTER_PLAYLIST);
    let lists: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-STREAM-INF:"))
        .map(|line| quoted(line, "CODECS").to_lowercase())
        .collect();
    for (video, list) in played.videos.iter().zip(&lists) {
        for track in std::iter::once(video).chain(played.audio()) {
            let named = list.split(',').any(|codec| codec.starts_with(&track.codec));
            assert!(named, "{} is not in {list}", track.codec);
        }
    }
}

/// A player may change from one rung to any other between two segments.
fn aligned(played: &Played) {
    let borders = |rung: usize| -> Vec<f64> {
        let track = &played.videos[rung];
        let first = |segment: &super::player::Segment| track.seconds(segment.samples[0].shown_at);
        track.segments.iter().map(first).collect()
    };
    for rung in 1..played.videos.len() {
        let (one, other) = (borders(0), borders(rung));
        assert_eq!(one.len(), other.len(), "segments of rung {rung}");
        for (a, b) in one.iter().zip(&other) {
            assert!(
                (a - b).abs() <= BORDER_ERROR_S_MAX,
                "rung {rung}: a segment at {b} s, not {a} s"
            );
        }
    }
}
