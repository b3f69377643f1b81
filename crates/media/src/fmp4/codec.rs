//! Codec strings of RFC 6381 from sample entries.

use super::{Fmp4Error, boxes::Fields};

/// How the samples of a track are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampleEntry {
    /// The codec string of RFC 6381.
    pub(super) codec: String,
    /// Width and height in pixels; `None` for audio.
    pub(super) picture: Option<(u32, u32)>,
}

/// The bytes of a visual sample entry before its boxes (ISO/IEC 14496-12, 12.1.3), without width and height and what
/// comes before them.
const VISUAL_BEFORE_SIZE_BYTES: usize = 24;
const VISUAL_AFTER_SIZE_BYTES: usize = 50;
/// The constraint flags of HEVC's profile (ISO/IEC 14496-15, 8.3.3.1).
const HEVC_CONSTRAINT_BYTES: usize = 6;
/// The bytes of an audio sample entry before its boxes (ISO/IEC 14496-12, 12.2.3).
const AUDIO_BYTES: usize = 28;

/// Reads the only entry of an `stsd` box: H.264 as `avc1`, HEVC as `hvc1`, AV1 as `av01`, or AAC as `mp4a`.
pub(super) fn sample_entry(mut stsd: Fields<'_>) -> Result<SampleEntry, Fmp4Error> {
    stsd.version_and_flags()?;
    if stsd.u32()? != 1 {
        return Err(Fmp4Error::Unsupported("several sample descriptions in a piece"));
    }
    let Some(mut entry) = stsd.next_box()? else {
        return Err(Fmp4Error::Missing(stsd.kind()));
    };
    match &entry.kind().0 {
        b"avc1" | b"hvc1" | b"av01" => {
            let kind = entry.kind();
            entry.bytes(VISUAL_BEFORE_SIZE_BYTES)?;
            let picture = Some((u32::from(entry.u16()?), u32::from(entry.u16()?)));
            entry.bytes(VISUAL_AFTER_SIZE_BYTES)?;
            let codec = match &kind.0 {
                b"hvc1" => hevc_codec(entry.need(b"hvcC")?),
                b"av01" => av1_codec(entry.need(b"av1C")?),
                _ => avc_codec(entry.need(b"avcC")?),
            };
            Ok(SampleEntry { codec: codec?, picture })
        }
        b"mp4a" => {
            entry.bytes(AUDIO_BYTES)?;
            Ok(SampleEntry {
                codec: aac_codec(entry.need(b"esds")?)?,
                picture: None,
            })
        }
        _ => Err(Fmp4Error::Unsupported(
            "a sample description other than avc1, hvc1, av01 and mp4a",
        )),
    }
}

/// `avc1.` and profile, constraint flags and level in hexadecimal (ISO/IEC 14496-15, annex E).
fn avc_codec(mut avcc: Fields<'_>) -> Result<String, Fmp4Error> {
    let _version = avcc.u8()?;
    let (profile, constraints, level) = (avcc.u8()?, avcc.u8()?, avcc.u8()?);
    Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
}

/// `hvc1.`, profile, reversed compatibility flags, tier and level, and the constraint bytes without trailing zeros
/// (ISO/IEC 14496-15, annex E).
fn hevc_codec(mut hvcc: Fields<'_>) -> Result<String, Fmp4Error> {
    let _version = hvcc.u8()?;
    let profile = hvcc.u8()?;
    let compatibility = hvcc.u32()?.reverse_bits();
    let constraints = hvcc.bytes(HEVC_CONSTRAINT_BYTES)?.to_vec();
    let level = hvcc.u8()?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut codec = format!("hvc1.{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1F);
    let used = constraints
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        codec += &format!(".{byte:X}");
    }
    Ok(codec)
}

/// `av01.`, profile, level and tier, bit depth (AV1 codec ISO media file format binding, 5). The parts that may be left out
/// are: they tell of colours, which players read in the stream.
fn av1_codec(mut av1c: Fields<'_>) -> Result<String, Fmp4Error> {
    let _marker_and_version = av1c.u8()?;
    let (profile_and_level, flags) = (av1c.u8()?, av1c.u8()?);
    let (profile, level) = (profile_and_level >> 5, profile_and_level & 0x1F);
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Ok(format!("av01.{profile}.{level:02}{tier}.{depth:02}"))
}

const ES_DESCRIPTOR: u8 = 0x03;
const DECODER_CONFIG_DESCRIPTOR: u8 = 0x04;
const DECODER_SPECIFIC_INFO: u8 = 0x05;
/// What follows the tag of an ES descriptor: id and flags (ISO/IEC 14496-1, 7.2.6.5).
const ES_BYTES: usize = 2;
/// What lies between the object type and the specific info: stream type, buffer size, two bit rates.
const DECODER_CONFIG_REST_BYTES: usize = 12;
/// The object type indication of MPEG-4 audio.
const MPEG4_AUDIO: u8 = 0x40;

/// `mp4a.40.` and the audio object type, 2 for AAC-LC.
fn aac_codec(mut esds: Fields<'_>) -> Result<String, Fmp4Error> {
    esds.version_and_flags()?;
    enter_descriptor(&mut esds, ES_DESCRIPTOR)?;
    esds.bytes(ES_BYTES)?;
    if esds.u8()? != 0 {
        return Err(Fmp4Error::Unsupported("an elementary stream with dependencies"));
    }
    enter_descriptor(&mut esds, DECODER_CONFIG_DESCRIPTOR)?;
    if esds.u8()? != MPEG4_AUDIO {
        return Err(Fmp4Error::Unsupported("audio other than MPEG-4"));
    }
    esds.bytes(DECODER_CONFIG_REST_BYTES)?;
    enter_descriptor(&mut esds, DECODER_SPECIFIC_INFO)?;
    Ok(format!("mp4a.40.{}", esds.u8()? >> 3))
}

/// Goes past a descriptor's tag and length, whose bytes carry seven bits each.
fn enter_descriptor(esds: &mut Fields<'_>, tag: u8) -> Result<(), Fmp4Error> {
    if esds.u8()? != tag {
        return Err(Fmp4Error::Malformed {
            inside: esds.kind(),
            what: "the descriptors are in another order",
        });
    }
    while esds.u8()? & 0x80 != 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::FourCc;

    #[test]
    fn hevc_in_hexadecimal_with_reversed_flags() {
        let of = |bytes: &[u8]| hevc_codec(Fields::new(FourCc(*b"hvcC"), bytes));
        // Main, level 3.1; then Main 10, high tier, level 5, with two constraint bytes.
        assert_eq!(
            of(&[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93]).unwrap(),
            "hvc1.1.6.L93.90"
        );
        assert_eq!(
            of(&[1, 0x22, 0x20, 0, 0, 0, 0xB0, 0x08, 0, 0, 0, 0, 150]).unwrap(),
            "hvc1.2.4.H150.B0.8"
        );
        assert!(matches!(of(&[1, 1, 0x60]), Err(Fmp4Error::CutOff(_))));
    }

    #[test]
    fn av1_in_decimals_of_two_digits() {
        let of = |bytes: &[u8]| av1_codec(Fields::new(FourCc(*b"av1C"), bytes));
        assert_eq!(of(&[0x81, 0x04, 0x0C, 0]).unwrap(), "av01.0.04M.08");
        assert_eq!(of(&[0x81, 0x2D, 0xCC, 0]).unwrap(), "av01.1.13H.10");
    }
}
