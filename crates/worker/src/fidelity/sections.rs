//! The rules for the boxes of init sections and segments: CMAF (ISO/IEC 23000-19, 7.3) over ISO/IEC 14496-12.

use super::boxes::{Fields, TFHD_BASE_OFFSET, TRUN_DATA_OFFSET, all, kinds, only};

/// Brands that say that a player needs no more than fragments with a `tfdt`.
const BRANDS: [&[u8; 4]; 6] = [b"cmfc", b"cmf2", b"iso5", b"iso6", b"iso8", b"iso9"];
/// Brands of a segment.
const SEGMENT_BRANDS: [&[u8; 4]; 2] = [b"msdh", b"cmfs"];
/// The flag of `tfhd` that has offsets count from the fragment.
const BASE_IS_MOOF: u32 = 0x2_0000;
/// The fields of a picture's sample entry, and of a sound's, before the boxes in it.
const PICTURE_FIELDS_BYTES: usize = 78;
/// The width and the height of a picture's sample entry.
const SIZE_AT: usize = 24;
/// The version, the flags and the number of entries.
const ENTRIES_AT: usize = 8;
/// The names of the sample entries of pictures.
const PICTURES: [&[u8; 4]; 3] = [b"avc1", b"hvc1", b"av01"];

/// Holds an init section against the rules.
pub(super) fn init(bytes: &[u8]) {
    assert_eq!(kinds(bytes), ["ftyp", "moov"]);
    let ftyp = only(bytes, b"ftyp");
    let brands = ftyp[..4].chunks(4).chain(ftyp[8..].chunks(4));
    let known = |brand: &[u8]| BRANDS.iter().any(|known| brand == &known[..]);
    assert!(brands.into_iter().any(known), "brands {}", ftyp.escape_ascii());
    let moov = only(bytes, b"moov");
    let trak = only(moov, b"trak");
    let mdia = only(trak, b"mdia");
    let stbl = only(only(mdia, b"minf"), b"stbl");
    for table in [b"stts", b"stsc", b"stco"] {
        assert_eq!(
            only(stbl, table)[4..8],
            [0; 4],
            "{}: samples are in fragments",
            table.escape_ascii()
        );
    }
    assert_eq!(only(stbl, b"stsz")[8..12], [0; 4], "stsz: samples are in fragments");
    assert!(
        !kinds(stbl).iter().any(|kind| kind == "stss" || kind == "ctts"),
        "{:?}",
        kinds(stbl)
    );
    assert_eq!(only(stbl, b"stsd")[4..8], [0, 0, 0, 1], "one sample entry");
    for (place, name) in [(only(moov, b"mvhd"), "mvhd"), (only(mdia, b"mdhd"), "mdhd")] {
        let mut fields = Fields(place);
        let (version, _) = fields.version_and_flags();
        fields.skip(if version == 1 { 16 } else { 8 });
        assert_ne!(fields.u32(), 0, "{name}: a timescale");
        let duration = if version == 1 {
            fields.i64()
        } else {
            fields.u32().into()
        };
        assert_eq!(duration, 0, "{name}: nobody knows how many fragments come");
    }
    assert_eq!(track(trak), trex(moov), "trex is about the track");
}

/// The id in a track's header.
fn track(trak: &[u8]) -> u32 {
    let mut tkhd = Fields(only(trak, b"tkhd"));
    let (version, flags) = tkhd.version_and_flags();
    assert_eq!(flags & 1, 1, "the track is enabled");
    tkhd.skip(if version == 1 { 16 } else { 8 });
    tkhd.u32()
}

fn trex(moov: &[u8]) -> u32 {
    let mut trex = Fields(only(only(moov, b"mvex"), b"trex"));
    trex.version_and_flags();
    let track = trex.u32();
    assert_eq!(trex.u32(), 1, "the first sample entry");
    track
}

/// Width and height of the picture; `None` for sound.
pub(super) fn size(init: &[u8]) -> Option<(u32, u32)> {
    let entries = sample_entries(init);
    let entry = PICTURES.iter().find_map(|kind| all(entries, kind).next())?;
    let side = |at: usize| u32::from(u16::from_be_bytes([entry[at], entry[at + 1]]));
    Some((side(SIZE_AT), side(SIZE_AT + 2)))
}

/// The first picture of a segment is one that decoding can begin with, whatever the flags say: an IDR of H.264 (ITU-T H.264, table
/// 7-1) or H.265 (ITU-T H.265, table 7-1). What is first in AV1 is left to the decoder.
pub(super) fn begins_with_idr(segment: &[u8], codec: &str) {
    let kind = match codec.split('.').next() {
        Some("avc1") => |header: u8| header & 0x1F,
        Some("hvc1") => |header: u8| header >> 1 & 0x3F,
        _ => return,
    };
    let (slices, idr) = if codec.starts_with("avc1") {
        (1..=5, 5..=5)
    } else {
        (0..=31, 19..=20)
    };
    let mut rest = only(segment, b"mdat");
    loop {
        let length = usize::try_from(Fields(rest).u32()).unwrap();
        let kind = kind(rest[4]);
        if slices.contains(&kind) {
            assert!(idr.contains(&kind), "a segment begins with a picture of type {kind}");
            return;
        }
        rest = &rest[4 + length..];
    }
}

fn sample_entries(init: &[u8]) -> &[u8] {
    let minf = only(only(only(only(init, b"moov"), b"trak"), b"mdia"), b"minf");
    &only(only(minf, b"stbl"), b"stsd")[ENTRIES_AT..]
}

/// What playlists must call the codec: all of it for H.264, its first word for others (RFC 6381).
pub(super) fn codec(init: &[u8]) -> String {
    let entries = sample_entries(init);
    let kind = kinds(entries).remove(0);
    match kind.as_str() {
        "avc1" => {
            let avcc = only(&only(entries, b"avc1")[PICTURE_FIELDS_BYTES..], b"avcC");
            format!("avc1.{:02x}{:02x}{:02x}", avcc[1], avcc[2], avcc[3])
        }
        "hvc1" => {
            only(&only(entries, b"hvc1")[PICTURE_FIELDS_BYTES..], b"hvcC");
            "hvc1.".into()
        }
        "av01" => {
            only(&only(entries, b"av01")[PICTURE_FIELDS_BYTES..], b"av1C");
            "av01.".into()
        }
        _ => {
            assert_eq!(kind, "mp4a", "no codec of ours");
            "mp4a.40.".into()
        }
    }
}

/// Holds a segment against the rules. Gives its number.
pub(super) fn segment(bytes: &[u8], init: &[u8]) -> u32 {
    let there = kinds(bytes);
    let there: Vec<&str> = there
        .iter()
        .map(String::as_str)
        .filter(|kind| *kind != "sidx")
        .collect();
    assert_eq!(there, ["styp", "moof", "mdat"], "one fragment");
    let styp = only(bytes, b"styp");
    for brand in SEGMENT_BRANDS {
        let mut brands = styp[..4].chunks(4).chain(styp[8..].chunks(4));
        assert!(brands.any(|other| other == brand), "{}", brand.escape_ascii());
    }
    let (moof, mdat) = (only(bytes, b"moof"), only(bytes, b"mdat"));
    let traf = only(moof, b"traf");
    assert_eq!(kinds(traf)[..3], ["tfhd", "tfdt", "trun"], "in this order");
    let mut tfhd = Fields(only(traf, b"tfhd"));
    let (_, flags) = tfhd.version_and_flags();
    assert_eq!(
        flags & (BASE_IS_MOOF | TFHD_BASE_OFFSET),
        BASE_IS_MOOF,
        "offsets count from the fragment"
    );
    assert_eq!(
        tfhd.u32(),
        track(only(only(init, b"moov"), b"trak")),
        "the fragment is of the track"
    );
    let mut trun = Fields(only(traf, b"trun"));
    let (_, flags) = trun.version_and_flags();
    assert_ne!(trun.u32(), 0, "samples");
    assert_ne!(flags & TRUN_DATA_OFFSET, 0, "trun says where the samples are");
    assert_eq!(trun.u32() as usize, moof.len() + 16, "at the start of mdat");
    assert!(!mdat.is_empty());
    let mut mfhd = Fields(only(moof, b"mfhd"));
    mfhd.version_and_flags();
    assert_eq!(all(moof, b"traf").count(), 1);
    mfhd.u32()
}
