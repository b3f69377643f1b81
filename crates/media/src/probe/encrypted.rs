//! Whether a file's pictures or sound are encrypted: those of MP4 here, of Matroska and transport streams below. ffmpeg looks
//! through the wrapping and decodes the ciphertext, which gives noise instead of a failure.

pub(super) mod matroska;
mod transport;

use std::io::{self, Read, Seek};

use super::container::read_at;

pub(super) use self::{matroska::has_encrypted_track, transport::is_scrambled};

/// The sample entries of protected streams (ISO/IEC 14496-12, 8.12), and of what was bought in older shops.
const PROTECTED: [&[u8; 4]; 4] = [b"encv", b"enca", b"drms", b"drmi"];
/// The way from the index down to the sample entries.
const WAY: [&[u8; 4]; 5] = [b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
/// A box's size and type.
const HEADER_BYTES: u64 = 8;
/// The version, the flags and the count before the entries of `stsd`.
const STSD_BYTES: u64 = 8;
/// The most boxes that are looked at; each track has about twenty on the way.
const BOXES_MAX: u32 = 10_000;

/// Looks at the boxes in the body of `moov`, which lies between two offsets.
pub(super) fn is_encrypted(file: &mut (impl Read + Seek), from: u64, to: u64) -> io::Result<bool> {
    let mut left = BOXES_MAX;
    below(file, from, to, &WAY, &mut left)
}

/// Whether there is a protected entry at the end of `way`; `left` boxes may be looked at.
fn below(file: &mut (impl Read + Seek), mut at: u64, to: u64, way: &[&[u8; 4]], left: &mut u32) -> io::Result<bool> {
    while at.saturating_add(HEADER_BYTES) <= to && *left > 0 {
        *left -= 1;
        let mut header = [0; 8];
        read_at(file, at, &mut header)?;
        let [a, b, c, d, kind @ ..] = header;
        let size = u64::from(u32::from_be_bytes([a, b, c, d]));
        if size < HEADER_BYTES {
            break;
        }
        let end = at.saturating_add(size).min(to);
        match way {
            [] if PROTECTED.contains(&&kind) => return Ok(true),
            [next, rest @ ..] if kind == **next => {
                let before = HEADER_BYTES + if rest.is_empty() { STSD_BYTES } else { 0 };
                if below(file, at + before, end, rest, left)? {
                    return Ok(true);
                }
            }
            _ => {}
        }
        at = end;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    /// A track whose only entry is of this kind.
    fn track(entry: &[u8; 4]) -> Vec<u8> {
        let entries = [&[0; 8][..], &boxed(entry, &[0; 70])].concat();
        let stbl = boxed(b"stbl", &boxed(b"stsd", &entries));
        let media = boxed(b"mdia", &[boxed(b"mdhd", &[0; 20]), boxed(b"minf", &stbl)].concat());
        boxed(b"trak", &[boxed(b"tkhd", &[0; 80]), media].concat())
    }

    fn looked(bytes: &[u8]) -> bool {
        is_encrypted(&mut Cursor::new(bytes), 0, bytes.len() as u64).unwrap()
    }

    #[test]
    fn protected_entries_are_found_in_any_track() {
        assert!(!looked(&[track(b"avc1"), track(b"mp4a")].concat()));
        assert!(looked(&[track(b"avc1"), track(b"enca")].concat()));
        assert!(looked(&track(b"encv")));
    }

    #[test]
    fn looking_ends_in_rubbish_too() {
        assert!(!looked(&[0xFF; 64]));
        assert!(!looked(&[0; 64]));
        let many = boxed(b"free", b"").repeat(BOXES_MAX as usize);
        assert!(!looked(&[many, track(b"encv")].concat()));
    }
}
