//! The rules for the multivariant playlist, and for what it names.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Files, Rules,
    text::{attributes, durations, starts, value},
};

type Attributes = BTreeMap<String, String>;

/// 1024 samples at 44.1 kHz.
const AUDIO_FRAME_S: f64 = 0.0233;
/// How much the durations of what is shown together may differ by rounding alone, in seconds.
const ROUNDING_S: f64 = 0.001;
const RANGES: [&str; 3] = ["SDR", "PQ", "HLG"];

pub(super) fn check(text: &str, files: Files<'_>, rules: &mut Rules<'_>) {
    rules.keep(
        text.contains("#EXT-X-INDEPENDENT-SEGMENTS\n"),
        "independent segments (9.11)",
    );
    let lines: Vec<&str> = text.lines().collect();
    let tagged = |tag: &'static str| {
        let lines = lines.clone();
        lines
            .into_iter()
            .filter(move |line| line.starts_with(tag))
            .map(attributes)
    };
    let variants: Vec<(Attributes, &str)> = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:"))
        .map(|pair| (attributes(pair[0]), pair[1]))
        .collect();
    let media: Vec<Attributes> = tagged("#EXT-X-MEDIA:").collect();
    let of_type = |kind: &str| {
        let of_type = |group: &&Attributes| is(group, "TYPE", kind);
        media.iter().filter(of_type).collect::<Vec<_>>()
    };
    let (audio, subtitles) = (of_type("AUDIO"), of_type("SUBTITLES"));
    rules.keep(!variants.is_empty(), "has variants");
    let uris: BTreeSet<&str> = variants.iter().map(|(_, uri)| *uri).collect();
    rules.keep(uris.len() == variants.len(), "no variant is there twice");
    for (variant, uri) in &variants {
        stream(variant, rules);
        rules.keep(files.text(uri).is_some(), "the playlist is there");
        for (key, group) in [("AUDIO", &audio), ("SUBTITLES", &subtitles)] {
            let named = group.first().and_then(|group| group.get("GROUP-ID"));
            rules.keep(variant.get(key) == named, "variants name their groups (RFC 4.3.4.2)");
        }
    }
    group(&audio, files, rules);
    group(&subtitles, files, rules);
    let has_picture = |(variant, _): &&(Attributes, &str)| variant.contains_key("RESOLUTION");
    let pictures: Vec<&str> = variants.iter().filter(has_picture).map(|(_, uri)| *uri).collect();
    sound(&audio, &pictures, files, rules);
    spans(&subtitles, files, rules);
    aligned(&pictures, files, rules);
    fast_search(
        &tagged("#EXT-X-I-FRAME-STREAM-INF:").collect::<Vec<_>>(),
        &pictures,
        files,
        rules,
    );
}

fn is(attributes: &Attributes, key: &str, value: &str) -> bool {
    attributes.get(key).is_some_and(|v| v == value)
}

fn stream(variant: &Attributes, rules: &mut Rules<'_>) {
    let codecs = variant.get("CODECS").map_or("", String::as_str);
    rates(variant, rules);
    let is_sound = |codec: &str| codec.starts_with("mp4a.");
    let (mut sounds, mut pictures) = (0, 0);
    for codec in codecs.split(',') {
        if is_sound(codec) {
            sounds += 1;
        } else {
            pictures += 1;
            let known = ["avc1.", "hvc1.", "av01."].iter().any(|tag| codec.starts_with(tag));
            rules.keep(known, "a codec with its parameter sets in the init section (1.10)");
        }
    }
    rules.keep(pictures <= 1 && sounds + pictures > 0, "CODECS (9.1)");
    if pictures == 0 {
        return;
    }
    rules.keep(
        sounds > 0 || !variant.contains_key("AUDIO"),
        "CODECS has the group's too (RFC 4.3.4.2)",
    );
    rules.keep(variant.contains_key("RESOLUTION"), "RESOLUTION (9.2)");
    let rate = variant.get("FRAME-RATE").and_then(|r| r.split_once('.'));
    rules.keep(
        rate.is_some_and(|(_, decimals)| decimals.len() == 3),
        "FRAME-RATE (9.15)",
    );
    range(variant, rules);
}

fn rates(variant: &Attributes, rules: &mut Rules<'_>) {
    let number = |key: &str| variant.get(key).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
    rules.keep(number("AVERAGE-BANDWIDTH") > 0, "AVERAGE-BANDWIDTH (9.14)");
    rules.keep(
        number("BANDWIDTH") >= number("AVERAGE-BANDWIDTH"),
        "BANDWIDTH is the peak (9.13)",
    );
}

fn range(variant: &Attributes, rules: &mut Rules<'_>) {
    let range = variant.get("VIDEO-RANGE").map_or("", String::as_str);
    rules.keep(RANGES.contains(&range), "VIDEO-RANGE (9.16)");
}

/// The alternatives of one kind.
fn group(group: &[&Attributes], files: Files<'_>, rules: &mut Rules<'_>) {
    let mut names = BTreeSet::new();
    let mut choices = BTreeSet::new();
    for alternative in group {
        rules.keep(
            names.insert(alternative.get("NAME")) && alternative.contains_key("NAME"),
            "alternatives have a NAME of their own (RFC 4.3.4.1.1)",
        );
        rules.keep(
            alternative.contains_key("LANGUAGE"),
            "alternatives have a LANGUAGE (8.10)",
        );
        let auto = is(alternative, "AUTOSELECT", "YES");
        rules.keep(
            auto || !is(alternative, "DEFAULT", "YES"),
            "the default may be selected (RFC 4.3.4.1)",
        );
        rules.keep(
            !auto || choices.insert((alternative.get("LANGUAGE"), alternative.get("FORCED"))),
            "what is selected by itself differs (RFC 4.3.4.1.1)",
        );
        let there = alternative.get("URI").is_some_and(|uri| files.text(uri).is_some());
        rules.keep(there, "the alternative's playlist is there");
    }
    let defaults = group
        .iter()
        .filter(|alternative| is(alternative, "DEFAULT", "YES"))
        .count();
    rules.keep(defaults <= 1, "one default (RFC 4.3.4.1.1)");
    let ids: BTreeSet<_> = group.iter().map(|alternative| alternative.get("GROUP-ID")).collect();
    rules.keep(ids.len() <= 1, "one group of each kind");
}

/// Sound begins and is cut where the picture is.
fn sound(group: &[&Attributes], pictures: &[&str], files: Files<'_>, rules: &mut Rules<'_>) {
    let text = |uri: &str| files.text(uri).map(|text| starts(&durations(text))).unwrap_or_default();
    let video = pictures.first().map(|uri| text(uri)).unwrap_or_default();
    for alternative in group {
        rules.keep(alternative.contains_key("CHANNELS"), "audio CHANNELS (RFC 4.3.4.1)");
        let audio = alternative.get("URI").map(|uri| text(uri)).unwrap_or_default();
        let near = |(video, audio): (&f64, &f64)| (video - audio).abs() <= AUDIO_FRAME_S;
        rules.keep(
            video.iter().zip(&audio).all(near),
            "audio segments start where video segments do (8.22)",
        );
    }
    let default = group.iter().any(|alternative| is(alternative, "DEFAULT", "YES"));
    rules.keep(group.is_empty() || default, "default audio (8.10)");
}

/// Text spans everything, and says whether it is forced.
fn spans(subtitles: &[&Attributes], files: Files<'_>, rules: &mut Rules<'_>) {
    let length = |text: &str| durations(text).iter().sum::<f64>();
    let longest = files.media().map(|(_, text)| length(text)).fold(0.0, f64::max);
    for alternative in subtitles {
        let own = alternative
            .get("URI")
            .and_then(|uri| files.text(uri))
            .map_or(0.0, length);
        rules.keep(own + ROUNDING_S >= longest, "subtitles span the whole content (5.5)");
        rules.keep(
            alternative.contains_key("FORCED"),
            "subtitles say whether they are FORCED (RFC 4.3.4.1)",
        );
    }
}

/// A player may switch at the start of each segment.
fn aligned(pictures: &[&str], files: Files<'_>, rules: &mut Rules<'_>) {
    let cuts: Vec<Vec<f64>> = pictures
        .iter()
        .filter_map(|uri| files.text(uri).map(durations))
        .collect();
    let prefix = cuts
        .windows(2)
        .all(|pair| pair[0].iter().zip(&pair[1]).all(|(a, b)| a == b));
    rules.keep(prefix, "segments start at the same times (8.22)");
    let first = pictures.first().and_then(|uri| files.text(uri));
    let is_whole = first.and_then(|text| value(text, "#EXT-X-PLAYLIST-TYPE")) == Some("VOD");
    let same = cuts.windows(2).all(|pair| pair[0].len() == pair[1].len());
    rules.keep(same || !is_whole, "all videos have the same duration (8.3)");
}

fn fast_search(streams: &[Attributes], pictures: &[&str], files: Files<'_>, rules: &mut Rules<'_>) {
    let segments = pictures
        .first()
        .and_then(|uri| files.text(uri))
        .map(durations)
        .unwrap_or_default();
    for attributes in streams {
        let has = |key: &str| attributes.contains_key(key);
        rules.keep(
            has("BANDWIDTH") && has("CODECS") && has("RESOLUTION"),
            "I-frame stream attributes (9.3, 9.4)",
        );
        rates(attributes, rules);
        range(attributes, rules);
        let text = attributes.get("URI").and_then(|uri| files.text(uri));
        let own = text.map(durations).unwrap_or_default();
        rules.keep(
            own.iter().zip(&segments).all(|(keyframe, segment)| keyframe == segment),
            "keyframes are those of the segments (6.8)",
        );
        rules.keep(
            text.is_some_and(|text| text.contains("#EXT-X-I-FRAMES-ONLY\n")),
            "the I-frame playlist is there (6.1)",
        );
    }
    rules.keep(
        streams.len() == pictures.len(),
        "an I-frame playlist for each video (6.1)",
    );
}
