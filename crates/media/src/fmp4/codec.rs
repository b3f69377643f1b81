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
/// The bytes of an audio sample entry before its boxes (ISO/IEC 14496-12, 12.2.3).
const AUDIO_BYTES: usize = 28;

/// Reads the only entry of an `stsd` box: H.264 as `avc1` or AAC as `mp4a`.
pub(super) fn sample_entry(mut stsd: Fields<'_>) -> Result<SampleEntry, Fmp4Error> {
    stsd.version_and_flags()?;
    if stsd.u32()? != 1 {
        return Err(Fmp4Error::Unsupported("several sample descriptions in a piece"));
    }
    let Some(mut entry) = stsd.next_box()? else {
        return Err(Fmp4Error::Missing(stsd.kind()));
    };
    match &entry.kind().0 {
        b"avc1" => {
            entry.bytes(VISUAL_BEFORE_SIZE_BYTES)?;
            let picture = Some((u32::from(entry.u16()?), u32::from(entry.u16()?)));
            entry.bytes(VISUAL_AFTER_SIZE_BYTES)?;
            Ok(SampleEntry {
                codec: avc_codec(entry.need(b"avcC")?)?,
                picture,
            })
        }
        b"mp4a" => {
            entry.bytes(AUDIO_BYTES)?;
            Ok(SampleEntry {
                codec: aac_codec(entry.need(b"esds")?)?,
                picture: None,
            })
        }
        _ => Err(Fmp4Error::Unsupported("a sample description other than avc1 and mp4a")),
    }
}

/// `avc1.` and profile, constraint flags and level in hexadecimal (ISO/IEC 14496-15, annex E).
fn avc_codec(mut avcc: Fields<'_>) -> Result<String, Fmp4Error> {
    let _version = avcc.u8()?;
    let (profile, constraints, level) = (avcc.u8()?, avcc.u8()?, avcc.u8()?);
    Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
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
