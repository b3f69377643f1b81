//! The rules for one media playlist.

use super::{
    Rules,
    text::{durations, uris, value},
};

/// No player shows less for this, in seconds.
const START_S_MAX: f64 = 0.01;

pub(super) fn check(text: &str, rules: &mut Rules<'_>) {
    let target: f64 = value(text, "#EXT-X-TARGETDURATION")
        .and_then(|t| t.parse().ok())
        .unwrap_or(0.0);
    let durations = durations(text);
    rules.keep(!durations.is_empty(), "has segments");
    rules.keep(
        durations.iter().all(|d| d.round() <= target),
        "rounded EXTINF is within the target (RFC 4.3.3.1)",
    );
    rules.keep(
        durations.iter().all(|d| *d <= target + 0.5),
        "EXTINF is within the target and half a second (7.7)",
    );
    rules.keep(durations.iter().all(|d| *d > 0.0), "EXTINF is a duration (RFC 4.3.2.1)");
    rules.keep(
        value(text, "#EXT-X-MEDIA-SEQUENCE") == Some("0"),
        "begins with the first segment (8.6)",
    );
    rules.keep(
        uris(text).count() == durations.len() && uris(text).all(is_relative),
        "one relative URI for each EXTINF (RFC 4.3.2.1)",
    );
    end(text, rules);
    map(text, rules);
    keyframes(text, rules);
}

/// Either all is there, or more will come.
fn end(text: &str, rules: &mut Rules<'_>) {
    let ends = text.ends_with("\n#EXT-X-ENDLIST\n") && text.matches("#EXT-X-ENDLIST").count() == 1;
    match value(text, "#EXT-X-PLAYLIST-TYPE") {
        Some("VOD") => rules.keep(ends, "ends with ENDLIST (8.6)"),
        Some("EVENT") => {
            rules.keep(
                !text.contains("#EXT-X-ENDLIST"),
                "grows, so it has no ENDLIST (RFC 4.3.3.4)",
            );
            let start = value(text, "#EXT-X-START").and_then(|start| start.strip_prefix("TIME-OFFSET="));
            let start_s: Option<f64> = start.and_then(|start| start.parse().ok());
            rules.keep(
                start_s.is_some_and(|start_s| start_s > 0.0 && start_s < START_S_MAX),
                "players start at the beginning (RFC 6.3.3), also those that take 0 for nothing",
            );
        }
        _ => rules.keep(false, "type is VOD or EVENT (8.6)"),
    }
}

fn map(text: &str, rules: &mut Rules<'_>) {
    let maps = text.matches("#EXT-X-MAP:URI=").count();
    if maps == 0 {
        let is_text = uris(text).all(|uri| uri.ends_with(".vtt"));
        rules.keep(is_text, "fragmented MP4 has EXT-X-MAP (8.20)");
        return;
    }
    rules.keep(maps == 1, "one EXT-X-MAP (8.20)");
    let map = text.find("#EXT-X-MAP").unwrap_or(usize::MAX);
    rules.keep(
        Some(map) < text.find("#EXTINF"),
        "EXT-X-MAP comes before the segments (RFC 4.3.2.5)",
    );
}

fn keyframes(text: &str, rules: &mut Rules<'_>) {
    let (count, gaps) = (uris(text).count(), text.matches("#EXT-X-GAP\n").count());
    let ranges: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:"))
        .collect();
    if !text.contains("#EXT-X-I-FRAMES-ONLY\n") {
        rules.keep(ranges.is_empty(), "segments are whole files");
        return;
    }
    rules.keep(ranges.len() + gaps == count, "I-frames are byte ranges (6.8)");
    // The fragment's header comes first in a file, so a range from its beginning has it.
    let has_header = |range: &&str| matches!(range.split_once('@'), Some((bytes, "0")) if bytes != "0");
    rules.keep(ranges.iter().all(has_header), "I-frames have their moof (6.10)");
}

/// A name below the playlist's own directory.
fn is_relative(uri: &str) -> bool {
    !uri.is_empty() && !uri.contains(':') && !uri.starts_with('/') && !uri.contains("..")
}
