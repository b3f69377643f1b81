//! A checker of playlists for tests: RFC 8216 and Apple's HLS authoring specification, as far as text can show it.

use std::collections::BTreeMap;

/// The attributes after a tag's colon, with quotes removed.
fn attributes(line: &str) -> BTreeMap<String, String> {
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

fn value<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(tag)?.strip_prefix(':'))
}

fn durations(text: &str) -> Vec<f64> {
    let seconds = |line: &str| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok();
    text.lines().filter_map(seconds).collect()
}

/// 1024 samples at 44.1 kHz.
const AUDIO_FRAME_S: f64 = 0.0233;

/// When each segment starts, in seconds.
fn starts(durations: &[f64]) -> Vec<f64> {
    let start = |sum: &mut f64, duration: &f64| Some(std::mem::replace(sum, *sum + duration));
    durations.iter().scan(0.0, start).collect()
}

/// What the files break, by the numbers of Apple's authoring specification or of RFC 8216. The files are named;
/// one is `master`.
pub(crate) fn violations(master: &str, files: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rule = |kept: bool, what: &str, file: &str| {
        if !kept {
            found.push(format!("{file}: {what}"));
        }
    };
    let targets: Vec<_> = files
        .iter()
        .filter(|(name, _)| *name != master)
        .map(|(_, t)| value(t, "#EXT-X-TARGETDURATION"))
        .collect();
    for &(name, text) in files {
        let version: u32 = value(text, "#EXT-X-VERSION").and_then(|v| v.parse().ok()).unwrap_or(0);
        rule(text.starts_with("#EXTM3U\n"), "begins with EXTM3U (RFC 4.3.1.1)", name);
        rule(version >= 6, "version 6 for EXT-X-MAP (RFC 7)", name);
        rule(
            text.matches("#EXT-X-VERSION").count() == 1,
            "one version (RFC 4.3.1.2)",
            name,
        );
        rule(!text.contains("DISCONTINUITY"), "no discontinuities (8.13)", name);
        if name == master {
            multivariant(text, files, &mut |kept, what| rule(kept, what, name));
        } else {
            media(text, &mut |kept, what| rule(kept, what, name));
        }
    }
    rule(
        targets.windows(2).all(|pair| pair[0] == pair[1]),
        "one target duration for all (8.2)",
        "all",
    );
    found
}

fn media(text: &str, rule: &mut dyn FnMut(bool, &str)) {
    let target: f64 = value(text, "#EXT-X-TARGETDURATION")
        .and_then(|t| t.parse().ok())
        .unwrap_or(0.0);
    let durations = durations(text);
    rule(!durations.is_empty(), "has segments");
    rule(
        durations.iter().all(|d| d.round() <= target),
        "rounded EXTINF is within the target (RFC 4.3.3.1)",
    );
    rule(
        durations.iter().all(|d| *d <= target + 0.5),
        "EXTINF is within the target and half a second (7.7)",
    );
    rule(value(text, "#EXT-X-PLAYLIST-TYPE") == Some("VOD"), "type is VOD (8.6)");
    rule(text.ends_with("\n#EXT-X-ENDLIST\n"), "ends with ENDLIST (8.6)");
    rule(text.matches("#EXT-X-MAP:URI=").count() == 1, "one EXT-X-MAP (8.20)");
    let map = text.find("#EXT-X-MAP").unwrap_or(usize::MAX);
    rule(
        Some(map) < text.find("#EXTINF"),
        "EXT-X-MAP comes before the segments (RFC 4.3.2.5)",
    );
    let uris = text.lines().filter(|line| !line.starts_with('#')).count();
    rule(uris == durations.len(), "one URI for each EXTINF (RFC 4.3.2.1)");
    let ranges = text.matches("#EXT-X-BYTERANGE").count();
    let gaps = text.matches("#EXT-X-GAP").count();
    let keyframes_only = text.contains("#EXT-X-I-FRAMES-ONLY");
    rule(
        !keyframes_only || ranges + gaps == uris,
        "I-frames are byte ranges (6.8)",
    );
}

fn multivariant(text: &str, files: &[(&str, &str)], rule: &mut dyn FnMut(bool, &str)) {
    let text_of = |name: &str| files.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
    rule(
        text.contains("#EXT-X-INDEPENDENT-SEGMENTS\n"),
        "independent segments (9.11)",
    );
    let lines: Vec<&str> = text.lines().collect();
    let variants: Vec<_> = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:"))
        .map(|pair| (attributes(pair[0]), pair[1]))
        .collect();
    rule(!variants.is_empty(), "has variants");
    let group = lines
        .iter()
        .find(|line| line.starts_with("#EXT-X-MEDIA:"))
        .map(|line| attributes(line));
    let mut cuts = Vec::new();
    for (variant, uri) in &variants {
        let number = |key: &str| variant.get(key).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        let codecs = variant.get("CODECS").map_or("", String::as_str);
        rule(number("AVERAGE-BANDWIDTH") > 0, "AVERAGE-BANDWIDTH (9.14)");
        rule(
            number("BANDWIDTH") >= number("AVERAGE-BANDWIDTH"),
            "BANDWIDTH is the peak (9.13)",
        );
        rule(!codecs.is_empty(), "CODECS (9.1)");
        rule(text_of(uri).is_some(), "the playlist is there");
        rule(
            variant.get("AUDIO") == group.as_ref().and_then(|g| g.get("GROUP-ID")),
            "AUDIO names the group (RFC 4.3.4.2)",
        );
        rule(
            group.is_some() == codecs.contains(','),
            "CODECS has the group's too (RFC 4.3.4.2)",
        );
        if codecs.contains("avc1") {
            rule(variant.contains_key("RESOLUTION"), "RESOLUTION (9.2)");
            let rate = variant.get("FRAME-RATE").and_then(|r| r.split_once('.'));
            rule(
                rate.is_some_and(|(_, decimals)| decimals.len() == 3),
                "FRAME-RATE (9.15)",
            );
            cuts.push(text_of(uri).map(durations));
        }
    }
    rule(
        cuts.windows(2).all(|pair| pair[0] == pair[1]),
        "segments start at the same times (8.22)",
    );
    let fast_search = lines
        .iter()
        .filter(|line| line.starts_with("#EXT-X-I-FRAME-STREAM-INF:"))
        .map(|l| attributes(l));
    let mut searchable = 0;
    for attributes in fast_search {
        searchable += 1;
        let has = |key: &str| attributes.contains_key(key);
        rule(
            has("BANDWIDTH") && has("CODECS") && has("RESOLUTION"),
            "I-frame stream attributes (9.3, 9.4)",
        );
        rule(
            attributes.get("URI").is_some_and(|uri| text_of(uri).is_some()),
            "the I-frame playlist is there (6.1)",
        );
    }
    rule(searchable == cuts.len(), "an I-frame playlist for each video (6.1)");
    if let Some(group) = group {
        let is = |key: &str, value: &str| group.get(key).is_some_and(|v| v == value);
        rule(
            is("TYPE", "AUDIO") && is("DEFAULT", "YES") && is("AUTOSELECT", "YES"),
            "default audio (8.10)",
        );
        rule(
            group.contains_key("NAME") && group.contains_key("CHANNELS"),
            "audio NAME and CHANNELS (RFC 4.3.4.1)",
        );
        let audio = group.get("URI").and_then(|uri| text_of(uri));
        rule(audio.is_some(), "the audio playlist is there");
        let video = cuts.first().and_then(Option::as_deref).map(starts).unwrap_or_default();
        let audio = starts(&audio.map(durations).unwrap_or_default());
        let near = |(video, audio): (&f64, &f64)| (video - audio).abs() <= AUDIO_FRAME_S;
        let at_starts = video.iter().zip(&audio).all(near);
        rule(at_starts, "audio segments start where video segments do (8.22)");
    }
}

#[test]
fn the_checker_sees_mistakes() {
    let media = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n\
                 #EXT-X-MAP:URI=\"i\"\n#EXTINF:4.400000,\na\n#EXT-X-ENDLIST\n";
    let master = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\
                  #EXT-X-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"mp4a.40.2\"\na\n";
    let check = |media: &str, master: &str| violations("m", &[("m", master), ("a", media)]);
    assert_eq!(check(media, master), [""; 0]);
    let changes = [
        ("4.400000", "4.600000"),
        ("VERSION:7", "VERSION:5"),
        ("#EXT-X-ENDLIST\n", ""),
        ("#EXT-X-MAP:URI=\"i\"\n", ""),
        (":VOD", ":EVENT"),
        ("#EXTM3U\n", ""),
    ];
    for (from, to) in changes {
        assert_ne!(check(&media.replace(from, to), master), [""; 0], "{from} to {to}");
    }
    let changes = [
        ("AVERAGE-BANDWIDTH", "AVG"),
        ("BANDWIDTH=2", "BANDWIDTH=0"),
        ("mp4a", "avc1"),
        ("#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
        ("\na\n", "\nb\n"),
    ];
    for (from, to) in changes {
        assert_ne!(check(media, &master.replace(from, to)), [""; 0], "{from} to {to}");
    }
}
