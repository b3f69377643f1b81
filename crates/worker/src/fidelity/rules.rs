//! The rules that every output keeps, whatever the source is.

use reelway_media::{MASTER_PLAYLIST, playlist};

use super::{
    check::continuous,
    manifest,
    player::{Played, Track, quoted, read_text},
};

/// How far the borders of two rungs' segments may lie apart, in seconds: not at all, but for reckoning.
const BORDER_ERROR_S_MAX: f64 = 1e-9;

/// How far a bandwidth may be above what was measured (Apple's authoring specification, 9.13 and 9.14: a tenth), and below it, for
/// rounding.
const BANDWIDTH_ABOVE_MAX: f64 = 1.1;
const BANDWIDTH_BELOW_MIN: f64 = 0.999;

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
    measured(played);
    manifest::check(played);
}

/// The bandwidths of the multivariant playlist are those of the files: of a picture together with the sound that needs most.
fn measured(played: &Played) {
    let text = read_text(&played.dir, MASTER_PLAYLIST);
    let variants = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-STREAM-INF:"));
    let variants: Vec<&str> = variants.filter(|line| line.contains("RESOLUTION=")).collect();
    assert_eq!(variants.len(), played.videos.len(), "{text}");
    let most = |rate: fn(&Track) -> f64| played.audios.iter().map(rate).fold(0.0, f64::max);
    for (video, variant) in played.videos.iter().zip(variants) {
        for (key, found) in [
            ("BANDWIDTH", peak(video) + most(peak)),
            ("AVERAGE-BANDWIDTH", average(video) + most(average)),
        ] {
            let mut attributes = variant.split(',').filter_map(|attribute| attribute.split_once('='));
            let told = attributes.find(|(name, _)| *name == key).map(|(_, value)| value);
            let told: f64 = told.unwrap().parse().unwrap();
            assert!(
                told >= found * BANDWIDTH_BELOW_MIN && told <= found * BANDWIDTH_ABOVE_MAX,
                "{key} of {}: {told}, not {found}",
                video.file.display()
            );
        }
    }
}

/// The peak segment bit rate (RFC 8216, 4.1): the most bits a second of any segments in a row that are together between a half and
/// one and a half target durations long.
fn peak(track: &Track) -> f64 {
    // A track shorter than half a target has no such run; and no peak is below the average.
    let mut most = average(track);
    for first in 0..track.segments.len() {
        let (mut bytes, mut seconds) = (0.0, 0.0);
        for segment in &track.segments[first..] {
            bytes += f64::from(segment.bytes);
            seconds += segment.duration;
            if seconds > 1.5 * track.target {
                break;
            }
            if seconds >= 0.5 * track.target {
                most = most.max(bytes * 8.0 / seconds);
            }
        }
    }
    most
}

fn average(track: &Track) -> f64 {
    let bytes: f64 = track.segments.iter().map(|segment| f64::from(segment.bytes)).sum();
    bytes * 8.0 / track.listed_end()
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
