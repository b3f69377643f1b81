//! Right results, each broken in one place: whoever checks results must see it.

use std::{
    cell::RefCell,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use super::{
    boxes::NOT_SYNC,
    check::{Outcome, transcode},
    clip::Clip,
    player::{Played, read_text},
    rules, run,
};

/// Where fields stand behind the type of their box (ISO/IEC 14496-12): the version and flags come first.
const FIRST: usize = 4;
const SECOND: usize = 8;
/// In a `trun`, behind the count and the offset: duration, size, flags and composition offset of each sample.
const FIRST_DURATION: usize = 12;
const FIRST_FLAGS: usize = 20;
const SECOND_DURATION: usize = 28;
const SECOND_COMPOSITION: usize = 40;

/// A copy of a result, whose files can be changed.
struct Copy {
    dir: PathBuf,
    /// The media playlists of the two pictures, and of the sound.
    large: String,
    small: String,
    sound: String,
    /// The init section and the second segment of the large picture.
    init: String,
    segment: String,
    /// The mistakes that nobody saw.
    missed: RefCell<Vec<String>>,
}

impl Copy {
    fn of(outcome: &Outcome) -> Self {
        let played = &outcome.played;
        let parent = played.dir.parent().unwrap();
        run("cp", parent, &["-rL", "play", "copy"]);
        let playlist = |file: &Path| {
            let name = file.with_extension("m3u8");
            name.file_name().unwrap().to_str().unwrap().to_owned()
        };
        Self {
            dir: parent.join("copy"),
            large: playlist(&played.videos[0].file),
            small: playlist(&played.videos[1].file),
            sound: playlist(&played.audios[0].file),
            init: played.videos[0].uris[0].clone(),
            segment: played.videos[0].uris[2].clone(),
            missed: RefCell::default(),
        }
    }

    /// Whether everything is found to be right.
    fn is_right(&self) -> bool {
        let checked = || rules::check(&Played::read(self.dir.clone()));
        catch_unwind(AssertUnwindSafe(checked)).is_ok()
    }

    /// Changes a file, looks whether that is found out, and puts it back.
    fn found(&self, name: &str, mistake: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let path = self.dir.join(name);
        let right = fs::read(&path).unwrap();
        let wrong = change(&right);
        assert_ne!(wrong, right, "{mistake}: nothing is changed");
        fs::write(&path, wrong).unwrap();
        if self.is_right() {
            self.missed.borrow_mut().push(format!("{name}: {mistake}"));
        }
        fs::write(&path, right).unwrap();
    }

    /// The same for the first place of some words in a text.
    fn text_found(&self, name: &str, mistake: &str, from: &str, to: &str) {
        self.found(name, mistake, |bytes| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(text.contains(from), "{mistake}: no {from} in {text}");
            text.replacen(from, to, 1).into_bytes()
        });
    }

    /// The same for a box, of which the bytes behind its type are given.
    fn box_found(&self, name: &str, mistake: &str, kind: &[u8; 4], change: impl FnOnce(&mut [u8])) {
        self.found(name, mistake, |bytes| {
            let mut bytes = bytes.to_vec();
            let at = bytes.windows(4).position(|other| other == kind).unwrap() + 4;
            change(&mut bytes[at..]);
            bytes
        });
    }

    /// The value of an attribute in a text, with its name.
    fn attribute(&self, name: &str, key: &str) -> String {
        let text = read_text(&self.dir, name);
        let at = text.find(key).unwrap_or_else(|| panic!("no {key} in {text}"));
        let value = text[at + key.len()..].split([',', '"', '\n']).next().unwrap();
        format!("{key}{value}")
    }

    /// The same for another value of an attribute.
    fn attribute_found(&self, name: &str, key: &str, value: &str) {
        let right = self.attribute(name, key);
        self.text_found(name, &right, &right, &format!("{key}{value}"));
    }
}

fn add(bytes: &mut [u8], at: usize, more: u32) {
    let field: &mut [u8; 4] = bytes[at..].first_chunk_mut().unwrap();
    *field = u32::from_be_bytes(*field).wrapping_add(more).to_be_bytes();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_found() {
    let clip = Clip {
        seconds: 9.5,
        ..Clip::default()
    };
    let outcome = transcode(&clip, &[180, 120]).await;
    let copy = Copy::of(&outcome);
    assert!(copy.is_right());
    media_playlists(&copy);
    multivariant_playlist(&copy);
    manifest(&copy);
    init_section(&copy);
    segment(&copy);
    assert!(copy.is_right(), "all is put back");
    assert_eq!(*copy.missed.borrow(), [""; 0]);
}

fn media_playlists(copy: &Copy) {
    for name in [&copy.large, &copy.sound] {
        copy.text_found(name, "a short target duration", "TARGETDURATION:4", "TARGETDURATION:3");
        copy.text_found(name, "no init section", "#EXT-X-MAP:", "#EXT-X-NAP:");
        copy.text_found(name, "no end", "#EXT-X-ENDLIST\n", "");
        copy.text_found(name, "a gap", "#EXTINF", "#EXT-X-GAP\n#EXTINF");
        copy.text_found(name, "a discontinuity", "#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF");
        copy.text_found(name, "another first number", "SEQUENCE:0", "SEQUENCE:1");
        copy.found(name, "a segment too long", |bytes| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let line = text.lines().find(|line| line.starts_with("#EXTINF:")).unwrap();
            text.replacen(line, "#EXTINF:4.400000,", 1).into_bytes()
        });
        copy.found(name, "a segment left out", |bytes| without_segment(bytes, 1));
        copy.found(name, "the last segment left out", |bytes| without_segment(bytes, 2));
        copy.found(name, "two segments in each other's place", swapped);
    }
    let (large, small) = (
        copy.attribute(&copy.large, "MAP:URI=\""),
        copy.attribute(&copy.small, "MAP:URI=\""),
    );
    copy.text_found(&copy.large, "another rung's init section", &large, &small);
}

fn multivariant_playlist(copy: &Copy) {
    const NAME: &str = reelway_media::MASTER_PLAYLIST;
    copy.attribute_found(NAME, ":BANDWIDTH=", "1000000000");
    copy.attribute_found(NAME, ":BANDWIDTH=", "1000");
    copy.attribute_found(NAME, "AVERAGE-BANDWIDTH=", "1000");
    copy.attribute_found(NAME, "CODECS=\"avc1.", "4d001e");
    copy.text_found(NAME, "no codec of the sound", ",mp4a.40.2\"", "\"");
    copy.text_found(NAME, "another codec of the sound", ",mp4a.40.2\"", ",ac-3\"");
    copy.attribute_found(NAME, "RESOLUTION=", "322x180");
    copy.attribute_found(NAME, "VIDEO-RANGE=", "HDR");
    copy.text_found(NAME, "no group of sound", ",AUDIO=\"", ",AUDIENCE=\"");
    copy.text_found(NAME, "a playlist that isn't there", &copy.large, "nowhere.m3u8");
    copy.text_found(NAME, "one playlist twice", &copy.small, &copy.large);
    copy.text_found(NAME, "no word of independence", "#EXT-X-INDEPENDENT-SEGMENTS\n", "");
}

fn manifest(copy: &Copy) {
    const NAME: &str = "manifest.mpd";
    copy.text_found(NAME, "it grows", "type=\"static\"", "type=\"dynamic\"");
    copy.attribute_found(NAME, "mediaPresentationDuration=\"", "PT9.000S");
    copy.attribute_found(NAME, "codecs=\"", "avc1.4d001e");
    copy.attribute_found(NAME, " width=\"", "322");
    copy.attribute_found(NAME, " sar=\"", "2:1");
    copy.attribute_found(NAME, " bandwidth=\"", "0");
    copy.attribute_found(NAME, " timescale=\"", "1000");
    copy.attribute_found(NAME, "<S t=\"", "1");
    copy.attribute_found(NAME, " d=\"", "359999");
    copy.attribute_found(NAME, "sourceURL=\"", "c/nowhere.mp4");
    copy.attribute_found(NAME, "<SegmentURL media=\"", "c/nowhere.m4s");
    let (first, second) = (
        copy.attribute(&copy.large, "MAP:URI=\""),
        copy.attribute(&copy.small, "MAP:URI=\""),
    );
    let url = |map: &str| format!("sourceURL=\"{}\"", &map["MAP:URI=\"".len()..]);
    copy.text_found(NAME, "another rung's init section", &url(&first), &url(&second));
    copy.found(NAME, "a hole in the timeline", |bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (before, after) = text.split_once("<SegmentTimeline>").unwrap();
        let (entries, after) = after.split_once("</SegmentTimeline>").unwrap();
        let hole = format!("{entries}<S t=\"90000000\" d=\"1\"/>");
        format!("{before}<SegmentTimeline>{hole}</SegmentTimeline>{after}").into_bytes()
    });
    copy.found(NAME, "a representation left out", |bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (before, after) = text.split_once("<Representation").unwrap();
        let (_, after) = after.split_once("</Representation>").unwrap();
        format!("{before}{after}").into_bytes()
    });
}

fn init_section(copy: &Copy) {
    let name = &copy.init;
    copy.box_found(name, "brands of a plain file", b"ftyp", |body| {
        body.first_chunk_mut::<28>().unwrap().fill(b'x');
    });
    copy.box_found(name, "a duration", b"mvhd", |body| add(body, FIRST + 12, 1));
    copy.box_found(name, "another track in trex", b"trex", |body| add(body, FIRST, 1));
    copy.box_found(name, "a track that is off", b"tkhd", |body| body[3] &= !1);
    copy.box_found(name, "another timescale", b"mdhd", |body| add(body, FIRST + 8, 1));
    copy.box_found(name, "another profile", b"avcC", |body| body[1] ^= 1);
    copy.box_found(name, "another size", b"avc1", |body| body[25] ^= 2);
    copy.found(name, "an edit list", |bytes| {
        let list = [
            &24_u32.to_be_bytes()[..],
            b"edts",
            &16_u32.to_be_bytes(),
            b"elst",
            &[0; 8],
        ]
        .concat();
        let mut bytes = bytes.to_vec();
        for kind in [b"moov", b"trak"] {
            let at = bytes.windows(4).position(|other| other == kind).unwrap() - 4;
            add(&mut bytes, at, 24);
        }
        let at = bytes.windows(4).position(|kind| kind == b"mdia").unwrap() - 4;
        bytes.splice(at..at, list);
        bytes
    });
}

fn segment(copy: &Copy) {
    let name = &copy.segment;
    copy.box_found(name, "another brand", b"styp", |body| {
        body.first_chunk_mut::<16>().unwrap().fill(b'x');
    });
    copy.box_found(name, "a number that was there", b"mfhd", |body| {
        body[FIRST..SECOND].fill(0);
    });
    copy.box_found(name, "another track", b"tfhd", |body| add(body, FIRST, 1));
    copy.box_found(name, "a gap in decode times", b"tfdt", |body| add(body, SECOND, 1));
    copy.box_found(name, "an overlap of decode times", b"tfdt", |body| {
        add(body, SECOND, u32::MAX);
    });
    copy.box_found(name, "samples elsewhere", b"trun", |body| add(body, SECOND, 1));
    copy.box_found(name, "a sample less", b"trun", |body| add(body, FIRST, u32::MAX));
    copy.box_found(
        name,
        "a first sample that can't be decoded by itself",
        b"trun",
        |body| {
            add(body, FIRST_FLAGS, NOT_SYNC);
        },
    );
    copy.box_found(name, "two samples that are decoded at one time", b"trun", |body| {
        let duration = u32::from_be_bytes(*body[FIRST_DURATION..].first_chunk().unwrap());
        body[FIRST_DURATION..][..4].fill(0);
        // They are shown when they were.
        add(body, SECOND_DURATION, duration);
        add(body, SECOND_COMPOSITION, duration);
    });
    copy.found(name, "a first picture that is no IDR", |bytes| {
        let mut bytes = bytes.to_vec();
        let mut at = bytes.windows(4).position(|kind| kind == b"mdat").unwrap() + 4;
        while bytes[at + 4] & 0x1F != 5 {
            at += 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        }
        bytes[at + 4] -= 4;
        bytes
    });
    copy.found(name, "two fragments", |bytes| [bytes, bytes].concat());
}

/// A playlist without one of its segments.
fn without_segment(playlist: &[u8], place: usize) -> Vec<u8> {
    let text = String::from_utf8(playlist.to_vec()).unwrap();
    let entry = entries(&text).remove(place);
    text.replacen(&entry, "", 1).into_bytes()
}

/// A playlist whose first two segments changed places.
fn swapped(playlist: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(playlist.to_vec()).unwrap();
    let found = entries(&text);
    let (first, second) = (&found[0], &found[1]);
    text.replacen(&format!("{first}{second}"), &format!("{second}{first}"), 1)
        .into_bytes()
}

/// The lines of each segment.
fn entries(playlist: &str) -> Vec<String> {
    let lines: Vec<&str> = playlist.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].starts_with("#EXTINF:"));
    pairs.map(|pair| format!("{}\n{}\n", pair[0], pair[1])).collect()
}
