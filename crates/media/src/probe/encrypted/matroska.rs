//! Encrypted tracks of Matroska and WebM (RFC 9559, 5.1.4.1.31): each says how its packets are wrapped before the first of them.

use std::io::{self, Read, Seek};

use crate::probe::container::{ebml_size, open_size_bytes, read_at};

/// The way from the segment down to one way of wrapping. Others compress, which is undone like any part of the container.
const WAY: [u32; 4] = [0x1654_AE6B, 0xAE, 0x6D80, 0x6240];
/// Where the packets begin: all tracks are told before.
const CLUSTER: u32 = 0x1F43_B675;
const CONTENT_ENCODING_TYPE: u32 = 0x5033;
const CONTENT_ENCRYPTION: u32 = 0x5035;
const CONTENT_ENCRYPTION_ALGORITHM: u32 = 0x47E1;
/// The type that encrypts.
const ENCRYPTION: u64 = 1;
/// The algorithm that only signs.
const SIGNED_ONLY: u64 = 0;
/// The most elements that are looked at; each track has about thirty.
const ELEMENTS_MAX: u32 = 10_000;

/// An element's id and where its body lies.
struct Element {
    id: u32,
    from: u64,
    to: u64,
}

/// Looks at the tracks in the body of a segment, which lies between two offsets.
pub(in crate::probe) fn has_encrypted_track(file: &mut (impl Read + Seek), from: u64, to: u64) -> io::Result<bool> {
    let mut left = ELEMENTS_MAX;
    below(file, from, to, &WAY, &mut left)
}

/// Whether one of the elements at the end of `way` encrypts; `left` may be looked at.
fn below(file: &mut (impl Read + Seek), mut at: u64, to: u64, way: &[u32], left: &mut u32) -> io::Result<bool> {
    let Some((next, rest)) = way.split_first() else {
        return encrypts(file, at, to, left);
    };
    while let Some(element) = element(file, at, to, left)? {
        if element.id == CLUSTER {
            break;
        }
        if element.id == *next && below(file, element.from, element.to, rest, left)? {
            return Ok(true);
        }
        at = element.to;
    }
    Ok(false)
}

/// Whether a way of wrapping is encryption.
fn encrypts(file: &mut (impl Read + Seek), mut at: u64, to: u64, left: &mut u32) -> io::Result<bool> {
    let (mut kind, mut algorithm) = (0, SIGNED_ONLY);
    while let Some(found) = element(file, at, to, left)? {
        at = found.to;
        match found.id {
            CONTENT_ENCODING_TYPE => kind = number(file, &found)?,
            CONTENT_ENCRYPTION => {
                let mut at = found.from;
                while let Some(inner) = element(file, at, found.to, left)? {
                    at = inner.to;
                    if inner.id == CONTENT_ENCRYPTION_ALGORITHM {
                        algorithm = number(file, &inner)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(kind == ENCRYPTION && algorithm != SIGNED_ONLY)
}

/// The element at an offset; `None` at the end, where there is none, and when enough were looked at.
fn element(file: &mut (impl Read + Seek), at: u64, to: u64, left: &mut u32) -> io::Result<Option<Element>> {
    if at >= to || *left == 0 {
        return Ok(None);
    }
    *left -= 1;
    let mut bytes = [0; 4];
    let count = read_at(file, at, &mut bytes)?;
    let width = bytes[0].leading_zeros() as usize + 1;
    if width > count {
        return Ok(None);
    }
    let id = bytes[..width].iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let from = at.saturating_add(width as u64);
    let (from, to) = match ebml_size(file, from)? {
        Some((size, width)) => {
            let from = from.saturating_add(width);
            (from, from.saturating_add(size).min(to))
        }
        // Open: up to the end of what it is in.
        None => (from.saturating_add(open_size_bytes(file, from)?), to),
    };
    Ok(Some(Element { id, from, to }))
}

fn number(file: &mut (impl Read + Seek), element: &Element) -> io::Result<u64> {
    let mut bytes = [0; 8];
    let length = usize::try_from(element.to.saturating_sub(element.from)).unwrap_or(usize::MAX);
    let count = read_at(file, element.from, &mut bytes[..length.min(8)])?;
    Ok(bytes[..count]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
pub(in crate::probe) mod tests {
    use std::io::Cursor;

    use super::*;

    /// An element with a size of one byte.
    fn element(id: u32, body: &[u8]) -> Vec<u8> {
        let id = id.to_be_bytes();
        let zeros = id.iter().take_while(|byte| **byte == 0).count();
        [&id[zeros..], &[0x80 | u8::try_from(body.len()).unwrap()], body].concat()
    }

    /// The tracks of a file of which one is wrapped like this.
    pub(in crate::probe) fn tracks(kind: u8, algorithm: u8) -> Vec<u8> {
        let encryption = element(CONTENT_ENCRYPTION, &element(CONTENT_ENCRYPTION_ALGORITHM, &[algorithm]));
        let how = [element(CONTENT_ENCODING_TYPE, &[kind]), encryption].concat();
        let encodings = element(WAY[2], &element(WAY[3], &how));
        let plain = element(WAY[1], &element(0xD7, &[1]));
        let wrapped = element(WAY[1], &[element(0xD7, &[2]), encodings].concat());
        element(WAY[0], &[plain, wrapped].concat())
    }

    fn looked(bytes: &[u8]) -> bool {
        has_encrypted_track(&mut Cursor::new(bytes), 0, bytes.len() as u64).unwrap()
    }

    #[test]
    fn encrypted_tracks_are_found() {
        assert!(looked(&tracks(1, 5)));
        assert!(!looked(&tracks(0, 5)), "compressed");
        assert!(!looked(&tracks(1, 0)), "signed");
        let info = element(0x1549_A966, &[0; 100]);
        assert!(looked(&[info, tracks(1, 5)].concat()));
        assert!(
            !looked(&[element(CLUSTER, &[]), tracks(1, 5)].concat()),
            "behind the first packets"
        );
        let open = [&[0x16, 0x54, 0xAE, 0x6B, 0xFF][..], &tracks(1, 5)[5..]].concat();
        assert!(looked(&open), "tracks of unknown length");
    }

    #[test]
    fn looking_ends_in_rubbish_too() {
        for byte in [0, 0x01, 0x10, 0x80, 0xFF] {
            assert!(!looked(&[byte; 100]));
        }
        let many = element(0xEC, &[]).repeat(ELEMENTS_MAX as usize);
        assert!(!looked(&[many, tracks(1, 5)].concat()));
        for length in 0..tracks(1, 5).len() {
            looked(&tracks(1, 5)[..length]);
        }
    }
}
