//! The rules for the DASH manifest (ISO/IEC 23009-1): what the schema says of order and attributes, and that it tells of the
//! same pieces as the playlists.

use std::collections::{BTreeMap, BTreeSet};

use super::player::{Played, Track, read_text};

/// How far the manifest's duration, which is in milliseconds, may be from the longest track's.
const DURATION_ERROR_S_MAX: f64 = 0.001;
/// The children of an adaptation set and of a representation, in the order of the schema.
const ORDER: [&str; 9] = [
    "AudioChannelConfiguration",
    "EssentialProperty",
    "SupplementalProperty",
    "Label",
    "Role",
    "BaseURL",
    "SegmentList",
    "Representation",
    "AdaptationSet",
];
/// The children of a list of segments, in the order of the schema.
const LIST_ORDER: [&str; 3] = ["Initialization", "SegmentTimeline", "SegmentURL"];

/// An element of XML without text; the manifest needs no more.
struct Element<'a> {
    name: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
    children: Vec<Self>,
}

impl<'a> Element<'a> {
    /// Reads the elements up to the end of the one they are in.
    fn read(rest: &mut &'a str) -> Vec<Self> {
        let mut found = Vec::new();
        while let Some((_, after)) = rest.split_once('<') {
            let (tag, after) = after.split_once('>').unwrap();
            *rest = after;
            if tag.starts_with('/') {
                break;
            }
            if tag.starts_with('?') {
                continue;
            }
            let is_empty = tag.ends_with('/');
            let tag = tag.trim_end_matches('/');
            let (name, list) = tag.split_once(' ').unwrap_or((tag, ""));
            found.push(Self {
                name,
                attributes: attributes(list),
                children: if is_empty { Vec::new() } else { Self::read(rest) },
            });
        }
        found
    }

    fn of<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn only<'e>(&'e self, name: &'e str) -> &'e Self {
        let found: Vec<&Self> = self.of(name).collect();
        assert_eq!(found.len(), 1, "{name} in {}", self.name);
        found[0]
    }

    fn get(&self, key: &str) -> &'a str {
        self.attributes
            .get(key)
            .unwrap_or_else(|| panic!("{key} of {}", self.name))
    }

    fn number(&self, key: &str) -> i64 {
        self.get(key).parse().unwrap()
    }

    /// The children stand in this order.
    fn ordered(&self, order: &[&str]) {
        let place = |child: &Self| {
            let place = order.iter().position(|name| *name == child.name);
            place.unwrap_or_else(|| panic!("{} in {}", child.name, self.name))
        };
        let places: Vec<usize> = self.children.iter().map(place).collect();
        assert!(places.is_sorted(), "the order in {}: {places:?}", self.name);
    }
}

fn attributes(mut list: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    while let Some((key, rest)) = list.split_once("=\"") {
        let (value, rest) = rest.split_once('"').unwrap();
        assert_eq!(found.insert(key.trim(), value), None, "{key} twice");
        list = rest;
    }
    found
}

/// Holds the manifest against the rules.
pub(super) fn check(played: &Played) {
    let text = read_text(&played.dir, "manifest.mpd");
    let mut rest = text.as_str();
    let top = Element::read(&mut rest);
    assert_eq!(rest.trim(), "");
    let [mpd] = &top[..] else { panic!("{text}") };
    assert_eq!((mpd.name, mpd.get("type")), ("MPD", "static"));
    assert_eq!(mpd.get("xmlns"), "urn:mpeg:dash:schema:mpd:2011");
    let tracks: Vec<&Track> = played.tracks().collect();
    let longest = tracks.iter().map(|track| track.listed_end()).fold(0.0, f64::max);
    let duration = seconds(mpd.get("mediaPresentationDuration"));
    assert!(
        (duration - longest).abs() <= DURATION_ERROR_S_MAX,
        "{duration} s, not {longest} s"
    );
    assert!(seconds(mpd.get("minBufferTime")) > 0.0);
    let period = mpd.only("Period");
    period.ordered(&["AdaptationSet"]);
    let (mut ids, mut described) = (BTreeSet::new(), 0);
    for set in period.of("AdaptationSet") {
        set.ordered(&ORDER);
        assert!(["video", "audio", "text"].contains(&set.get("contentType")));
        for representation in set.of("Representation") {
            representation.ordered(&ORDER);
            assert!(
                ids.insert(representation.get("id")),
                "{} twice",
                representation.get("id")
            );
            assert!(representation.number("bandwidth") > 0);
            if set.get("contentType") == "text" {
                let _ = representation.only("BaseURL");
                continue;
            }
            let list = representation.only("SegmentList");
            let uri = list.only("Initialization").get("sourceURL");
            let track = tracks.iter().find(|track| track.uris[0] == uri);
            same_track(
                representation,
                list,
                track.unwrap_or_else(|| panic!("{uri} is in no playlist")),
            );
            described += 1;
        }
    }
    assert_eq!(described, tracks.len(), "each track is in the manifest: {text}");
}

/// A representation tells what the playlist of a track does.
fn same_track(representation: &Element<'_>, list: &Element<'_>, track: &Track) {
    list.ordered(&LIST_ORDER);
    let codecs = representation.get("codecs");
    assert!(
        codecs.to_lowercase().starts_with(&track.codec),
        "{codecs} is not {}",
        track.codec
    );
    if let Some((width, height)) = track.size {
        let size = (representation.number("width"), representation.number("height"));
        assert_eq!(size, (width.into(), height.into()));
        assert_eq!(representation.get("sar"), "1:1");
        let rate = representation.get("frameRate");
        let parts: Vec<u32> = rate.split('/').map(|part| part.parse().unwrap()).collect();
        assert!(parts.len() <= 2 && parts.iter().all(|part| *part > 0), "{rate}");
    }
    assert_eq!(list.number("timescale"), i64::from(track.init.timescale));
    let uris: Vec<&str> = list.of("SegmentURL").map(|url| url.get("media")).collect();
    assert_eq!(uris, track.uris[1..], "the same pieces in HLS");
    let mut starts = Vec::new();
    let mut next = 0;
    for entry in list.only("SegmentTimeline").of("S") {
        let repeated = entry.attributes.get("r").map_or(0, |r| r.parse::<i64>().unwrap());
        let start = entry.attributes.get("t").map_or(next, |t| t.parse().unwrap());
        assert!(starts.is_empty() || start == next, "a hole at {next}: {start}");
        next = start;
        for _ in 0..=repeated {
            starts.push(next);
            next += entry.number("d");
        }
    }
    let shown: Vec<i64> = track
        .segments
        .iter()
        .map(|segment| segment.samples[0].shown_at)
        .collect();
    assert_eq!(starts, shown, "when segments start");
    let samples = track.samples().map(|sample| sample.duration).sum::<i64>();
    assert_eq!(next, samples, "when the last segment ends");
}

/// The duration that is written as `PT1.500S`.
fn seconds(text: &str) -> f64 {
    let number = text.strip_prefix("PT").and_then(|text| text.strip_suffix('S'));
    number.unwrap().parse().unwrap()
}
