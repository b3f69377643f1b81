//! Reading playlists.

use std::collections::BTreeMap;

/// The attributes after a tag's colon, with quotes removed.
pub(super) fn attributes(line: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = line.split_once(':').map_or("", |(_, list)| list);
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.insert(key.to_owned(), value.to_owned());
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    found
}

/// What stands after a tag's colon, where the tag comes first.
pub(super) fn value<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(tag)?.strip_prefix(':'))
}

/// How long each segment is, in seconds.
pub(super) fn durations(text: &str) -> Vec<f64> {
    let seconds = |line: &str| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok();
    text.lines().filter_map(seconds).collect()
}

/// When each segment starts, in seconds.
pub(super) fn starts(durations: &[f64]) -> Vec<f64> {
    let start = |sum: &mut f64, duration: &f64| Some(std::mem::replace(sum, *sum + duration));
    durations.iter().scan(0.0, start).collect()
}

/// The lines that name files.
pub(super) fn uris(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}
