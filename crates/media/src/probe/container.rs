//! A look at a file's first bytes and its outermost elements, before any program opens it.
//!
//! ffmpeg reads a file that was cut short without a word and exits with 0, but MP4, Matroska and RIFF tell how long they
//! are.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use reelway_domain::{Failure, Reason};

use super::encrypted::{has_encrypted_track, is_encrypted, is_scrambled};
use crate::Error;

const ENCRYPTED: &str =
    "The file is encrypted (DRM), so it can't be decoded here. Upload a copy that is not protected.";
const NO_INDEX: &str = "The file ends before its index (the moov box), so it can't be played. The recording or \
                                   the copy was cut short: copy it again from where it was made.";
const STILL_PICTURE: &str = "The file is a still picture. Upload a video or audio file.";

/// The most boxes that are looked at; a film in fragments of one second has twice as many seconds.
const BOXES_MAX: u32 = 500_000;
/// What the first box of an MP4 or MOV file can be.
const FIRST_BOXES: [&[u8; 4]; 8] = [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"];
/// Boxes that must be whole.
const NEEDED_BOXES: [&[u8; 4]; 3] = [b"moov", b"moof", b"mdat"];
/// The brands of still pictures in MP4's clothes.
const PICTURE_BRANDS: [&[u8; 4]; 6] = [b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"];
/// So many bytes may be missing from a RIFF file: some writers count padding that they never write.
const RIFF_SLOP_BYTES: u64 = 4096;
/// Writers that can't go back leave a size from here on.
const RIFF_OPEN_BYTES: u64 = 0x7FFF_F000;
const EBML_HEADER: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const MATROSKA_SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];

/// What a file's outermost elements tell.
#[derive(Debug)]
enum Outline {
    /// It is MP4, MOV or Matroska, and whole.
    Whole,
    /// It is something else.
    Other,
    /// Its pictures or its sound are encrypted.
    Encrypted,
    /// Nothing can be made of it.
    Refused(Failure),
}

/// Refuses what is empty, encrypted, a still picture, or shorter than it says itself. True for a whole MP4, MOV or Matroska file.
///
/// # Errors
/// `SOURCE_EMPTY`, `SOURCE_NOT_MEDIA`, `SOURCE_CODEC_UNSUPPORTED`, `SOURCE_TRUNCATED`; `INTERNAL` if the file can't be read.
pub(crate) async fn check(path: &Path) -> Result<bool, Error> {
    match outline(path).await? {
        Outline::Whole => Ok(true),
        Outline::Other => Ok(false),
        Outline::Encrypted => Err(encrypted().into()),
        Outline::Refused(failure) => Err(failure.into()),
    }
}

/// Refuses what is encrypted already in its beginning.
///
/// # Errors
/// `SOURCE_CODEC_UNSUPPORTED`; `INTERNAL` if the file can't be read.
pub(crate) async fn check_beginning(path: &Path) -> Result<(), Error> {
    match outline(path).await? {
        Outline::Encrypted => Err(encrypted().into()),
        Outline::Whole | Outline::Other | Outline::Refused(_) => Ok(()),
    }
}

async fn outline(path: &Path) -> Result<Outline, Error> {
    let path = path.to_owned();
    let looked = tokio::task::spawn_blocking(move || look(&mut File::open(path)?)).await;
    looked
        .map_err(io::Error::from)
        .flatten()
        .map_err(|e| Error::io("reading the source", &e))
}

fn encrypted() -> Failure {
    Failure::new(Reason::SourceCodecUnsupported, ENCRYPTED)
}

fn look(file: &mut (impl Read + Seek)) -> io::Result<Outline> {
    let refused = |reason, message| Ok(Outline::Refused(Failure::new(reason, message)));
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return refused(
            Reason::SourceEmpty,
            "The file has no bytes. Choose it again and upload it anew.",
        );
    }
    let mut head = [0; 12];
    let count = read_at(file, 0, &mut head)?;
    match &head {
        _ if count < head.len() => Ok(Outline::Other),
        [a, b, c, d, ..] if [*a, *b, *c, *d] == EBML_HEADER => matroska(file, length),
        [b'R', b'I', b'F', b'F', a, b, c, d, ..] => Ok(riff(u32::from_le_bytes([*a, *b, *c, *d]).into(), length)),
        [_, _, _, _, kind @ .., _, _, _, _] if FIRST_BOXES.contains(&kind) => {
            if kind == b"ftyp" && PICTURE_BRANDS.iter().any(|brand| head.ends_with(*brand)) {
                return refused(Reason::SourceNotMedia, STILL_PICTURE);
            }
            boxes(file, length)
        }
        _ if is_scrambled(file, length)? => Ok(Outline::Encrypted),
        _ => Ok(Outline::Other),
    }
}

/// Walks the outermost boxes of ISO/IEC 14496-12, section 4.2.
fn boxes(file: &mut (impl Read + Seek), length: u64) -> io::Result<Outline> {
    let (mut at, mut has_index) = (0, false);
    for _ in 0..BOXES_MAX {
        let mut header = [0; 16];
        let count = read_at(file, at, &mut header)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = header;
        // What is no box is left to ffmpeg: some recorders leave rubbish at the end.
        if count < 8 || !kind.iter().all(u8::is_ascii_graphic) {
            break;
        }
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - at,
            1 if count == 16 => u64::from_be_bytes(header[8..].try_into().unwrap_or_default()),
            size => size.into(),
        };
        let end = at.saturating_add(size.max(8));
        if end > length && NEEDED_BOXES.contains(&&kind) {
            let cut_before_index = &kind == b"moov" || !has_index;
            return Ok(if cut_before_index {
                no_index()
            } else {
                cut_short(end - length)
            });
        }
        if &kind == b"moov" {
            has_index = true;
            if is_encrypted(file, at + 8, end)? {
                return Ok(Outline::Encrypted);
            }
        }
        at = end;
        if at >= length {
            break;
        }
    }
    Ok(if has_index || at < length {
        Outline::Whole
    } else {
        no_index()
    })
}

/// AVI and WAV: the outermost chunk has a size of its own.
fn riff(size: u64, length: u64) -> Outline {
    let end = size + 8;
    let is_cut = (1..RIFF_OPEN_BYTES).contains(&size) && end > length + RIFF_SLOP_BYTES;
    if is_cut {
        cut_short(end - length)
    } else {
        Outline::Other
    }
}

/// Reads the size of the segment, the one element that holds everything (RFC 8794 section 6, RFC 9559 section 4.5).
fn matroska(file: &mut (impl Read + Seek), length: u64) -> io::Result<Outline> {
    let mut at = EBML_HEADER.len() as u64;
    let Some((header_size, width)) = ebml_size(file, at)? else {
        return Ok(Outline::Other);
    };
    at = at.saturating_add(width).saturating_add(header_size);
    let mut id = [0; 4];
    if read_at(file, at, &mut id)? < id.len() || id != MATROSKA_SEGMENT {
        return Ok(Outline::Other);
    }
    let (from, end) = match ebml_size(file, at + 4)? {
        Some((size, width)) => (at + 4 + width, (at + 4 + width).saturating_add(size)),
        None => (at + 4 + open_size_bytes(file, at + 4)?, length),
    };
    if has_encrypted_track(file, from, end.min(length))? {
        return Ok(Outline::Encrypted);
    }
    Ok(if end > length {
        cut_short(end - length)
    } else {
        Outline::Whole
    })
}

/// An element's size and how many bytes the size takes; `None` if it is open, as live recorders leave it.
pub(super) fn ebml_size(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<(u64, u64)>> {
    let mut bytes = [0; 8];
    let count = read_at(file, at, &mut bytes)?;
    let width = bytes[0].leading_zeros() as usize + 1;
    if width > count {
        return Ok(None);
    }
    let ones = (1_u64 << (7 * width)) - 1;
    let value = bytes[..width]
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
        & ones;
    Ok((value != ones).then_some((value, width as u64)))
}

/// How many bytes a size takes that says nothing but that it is open.
pub(super) fn open_size_bytes(file: &mut (impl Read + Seek), at: u64) -> io::Result<u64> {
    let mut first = [0; 1];
    read_at(file, at, &mut first)?;
    Ok(u64::from(first[0].leading_zeros()) + 1)
}

fn cut_short(missing: u64) -> Outline {
    let message = format!(
        "The file ends {missing} bytes before its own headers say. The recording or the copy was cut short: copy it again \
         from where it was made."
    );
    Outline::Refused(Failure::new(Reason::SourceTruncated, message).with("missingBytes", missing))
}

fn no_index() -> Outline {
    Outline::Refused(Failure::new(Reason::SourceTruncated, NO_INDEX))
}

/// Fills as much of `buffer` as there is from `at` on.
pub(super) fn read_at(file: &mut (impl Read + Seek), at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..])? {
            0 => break,
            n => count += n,
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn reason(bytes: &[u8]) -> Option<Reason> {
        match look(&mut Cursor::new(bytes)).unwrap() {
            Outline::Refused(failure) => Some(failure.reason),
            Outline::Encrypted => Some(Reason::SourceCodecUnsupported),
            Outline::Whole | Outline::Other => None,
        }
    }

    fn boxed(kind: &[u8; 4], size: u32, body: usize) -> Vec<u8> {
        [&size.to_be_bytes()[..], kind, &vec![0; body]].concat()
    }

    #[test]
    fn boxes_must_be_whole() {
        let (ftyp, moov) = (boxed(b"ftyp", 16, 8), boxed(b"moov", 108, 100));
        let whole = [ftyp.clone(), moov.clone(), boxed(b"mdat", 1008, 1000)].concat();
        assert_eq!(reason(&whole), None);
        assert_eq!(reason(&whole[..whole.len() - 1]), Some(Reason::SourceTruncated));
        assert_eq!(reason(&whole[..100]), Some(Reason::SourceTruncated), "in the index");
        assert_eq!(
            reason(&[ftyp.clone(), boxed(b"mdat", 0, 50)].concat()),
            Some(Reason::SourceTruncated),
            "no index"
        );
        assert_eq!(
            reason(&[ftyp, moov, boxed(b"mdat", 0, 50)].concat()),
            None,
            "0 means to the end"
        );
        assert_eq!(reason(&[whole, vec![0; 20]].concat()), None, "rubbish behind");
    }

    #[test]
    fn a_large_box_has_a_long_size() {
        let mut large = [boxed(b"ftyp", 16, 8), boxed(b"moov", 8, 0), boxed(b"mdat", 1, 0)].concat();
        large.extend(5_000_000_000_u64.to_be_bytes());
        assert_eq!(reason(&large), Some(Reason::SourceTruncated));
    }

    #[test]
    fn a_segment_must_be_whole_unless_it_is_open() {
        let header = [0x1A, 0x45, 0xDF, 0xA3, 0x81, 0x00];
        let segment = |size: u8, body: usize| [&header[..], &MATROSKA_SEGMENT, &[size], &vec![0; body]].concat();
        assert_eq!(reason(&segment(0x80 | 20, 20)), None);
        assert_eq!(reason(&segment(0x80 | 20, 19)), Some(Reason::SourceTruncated));
        assert_eq!(reason(&segment(0xFF, 5)), None);
    }

    #[test]
    fn riff_files_must_be_whole_unless_they_are_open() {
        let riff = |size: u32| [b"RIFF", &size.to_le_bytes()[..], b"AVI ", &[0; 10_000]].concat();
        assert_eq!(reason(&riff(10_004)), None);
        assert_eq!(reason(&riff(10_010)), None, "padding");
        assert_eq!(reason(&riff(20_000)), Some(Reason::SourceTruncated));
        assert_eq!((reason(&riff(0)), reason(&riff(u32::MAX))), (None, None));
    }

    #[test]
    fn empty_files_and_still_pictures() {
        assert_eq!(reason(b""), Some(Reason::SourceEmpty));
        assert_eq!(
            reason(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
            Some(Reason::SourceNotMedia)
        );
        assert_eq!(reason(b"x"), None, "left to ffprobe");
    }
}
