//! Where an arriving file keeps its index: decided from the bytes that are there, before any program opens it.
//!
//! MP4 and MOV files with all their samples in one index (ISO/IEC 14496-12, section 8) can be planned for as soon as the index is
//! there. Fragmented MP4, Matroska and WebM are made of pieces, and their beginning is a file of its own. Everything else waits for its
//! last byte.

use std::io;

use crate::{
    ByteRange,
    pieces::{EBML, clusters_end, fragments_end},
};

/// The most outermost boxes that are walked before the media data.
pub(crate) const BOXES_MAX: u32 = 64;
/// The most boxes within the index that are looked at.
pub(crate) const INDEX_BOXES_MAX: u32 = 1024;
/// The largest index that is read early: it holds more than a day of video.
pub(crate) const INDEX_BYTES_MAX: u64 = 256 << 20;
/// How much of the media data a probe looks at, to find out what the headers don't tell.
pub(crate) const FIRST_MEDIA_BYTES: u64 = 1 << 20;
/// The longest header of a box.
const HEADER_BYTES: u64 = 16;

/// How much of a file is there: its first bytes, and perhaps its last ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Every byte below is there.
    pub prefix: u64,
    /// Every byte from here on is there; `size` if none is.
    pub tail: u64,
    /// The file's length, or the most that it can be if nobody knows it yet.
    pub size: u64,
}

/// What can be made of a file by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Its index is there. These bytes tell all about it: headers, the first media data, and the index.
    Indexed(Vec<ByteRange>),
    /// It is made of pieces: so many bytes are its headers and whole pieces.
    Pieces(u64),
    /// More can be told when every byte below this offset is there.
    Later(u64),
    /// Nothing before all of it is there.
    Complete,
}

/// A box's place and type.
pub(crate) struct Header {
    pub(crate) kind: [u8; 4],
    pub(crate) body: u64,
    pub(crate) end: u64,
}

impl Arrived {
    /// Whether the bytes from `start` to before `end` are there.
    #[must_use]
    pub fn covers(&self, range: ByteRange) -> bool {
        range.end <= self.size && (range.end <= self.prefix || range.start >= self.tail || self.prefix >= self.tail)
    }

    /// How many bytes at the file's start must be there for all of a range to be there.
    #[must_use]
    pub fn needed(&self, range: ByteRange) -> u64 {
        if range.start >= self.tail {
            0
        } else {
            range.end.min(self.tail)
        }
    }
}

/// Looks for the index. `read` fills a buffer with the file's bytes from an offset on; it is asked only for what is there.
///
/// # Errors
/// Those of `read`.
pub fn layout(there: &Arrived, mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>) -> io::Result<Layout> {
    if there.covers(ByteRange { start: 0, end: 4 }) && there.size >= 4 {
        let mut mark = [0; 4];
        read(0, &mut mark)?;
        if mark == EBML {
            return Ok(pieces(there, clusters_end(&mut read, there.prefix)?));
        }
    }
    let (mut at, mut index, mut media) = (0, None, None);
    for _ in 0..BOXES_MAX {
        if let (Some(index), Some(media)) = (&index, &media) {
            return Ok(found(there, index, media));
        }
        if at >= there.size {
            return Ok(Layout::Complete);
        }
        let header_end = there.size.min(at + HEADER_BYTES);
        let needed = ByteRange {
            start: at,
            end: header_end,
        };
        if !there.covers(needed) {
            // The index stands behind media data that has not arrived: then so has nearly all of the file.
            return Ok(if media.is_some() {
                Layout::Complete
            } else {
                Layout::Later(header_end)
            });
        }
        let Some(header) = header(&mut read, at, there.size)? else {
            return Ok(Layout::Complete);
        };
        match &header.kind {
            b"moov" => {
                let range = ByteRange {
                    start: at,
                    end: header.end,
                };
                if header.end - at > INDEX_BYTES_MAX {
                    return Ok(Layout::Complete);
                }
                if !there.covers(range) {
                    return Ok(Layout::Later(there.needed(range)));
                }
                if is_fragmented(&mut read, &header)? {
                    let end = fragments_end(&mut read, header.end, there.prefix, there.size)?;
                    return Ok(pieces(there, end));
                }
                index = Some(range);
            }
            b"mdat" if media.is_none() => {
                media = Some(ByteRange {
                    start: at,
                    end: header.end,
                });
            }
            b"moof" | b"styp" | b"sidx" => return Ok(Layout::Complete),
            _ => {}
        }
        at = header.end;
    }
    Ok(Layout::Complete)
}

/// What can be made of a file whose pieces end here.
fn pieces(there: &Arrived, end: Option<u64>) -> Layout {
    match end {
        Some(end) => Layout::Pieces(end),
        None if there.prefix < there.size => Layout::Later(there.prefix + 1),
        None => Layout::Complete,
    }
}

fn found(there: &Arrived, index: &ByteRange, media: &ByteRange) -> Layout {
    let first = ByteRange {
        start: 0,
        end: media.end.min(media.start.saturating_add(FIRST_MEDIA_BYTES)),
    };
    if !there.covers(first) {
        return Layout::Later(there.needed(first));
    }
    let mut ranges = vec![first];
    if index.end > first.end {
        ranges.push(*index);
    }
    Layout::Indexed(ranges)
}

/// The header of the box at an offset; `None` if there is none that fits into the file.
pub(crate) fn header(
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    at: u64,
    limit: u64,
) -> io::Result<Option<Header>> {
    let left = limit.saturating_sub(at);
    if left < 8 {
        return Ok(None);
    }
    let mut bytes = [0; 8];
    read(at, &mut bytes)?;
    let [a, b, c, d, kind @ ..] = bytes;
    let (size, header_bytes) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (left, 8),
        1 if left >= HEADER_BYTES => {
            let mut long = [0; 8];
            read(at + 8, &mut long)?;
            (u64::from_be_bytes(long), HEADER_BYTES)
        }
        size => (size.into(), 8),
    };
    let is_sound = size >= header_bytes && size <= left && kind.iter().all(u8::is_ascii_graphic);
    Ok(is_sound.then_some(Header {
        kind,
        body: at + header_bytes,
        end: at.saturating_add(size),
    }))
}

/// Whether an index says that there are fragments too (the `mvex` box), so that it doesn't hold all samples.
pub(crate) fn is_fragmented(
    read: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    index: &Header,
) -> io::Result<bool> {
    let mut at = index.body;
    for _ in 0..INDEX_BOXES_MAX {
        match header(&mut *read, at, index.end)? {
            None => return Ok(false),
            Some(inner) if &inner.kind == b"mvex" => return Ok(true),
            Some(inner) => at = inner.end,
        }
    }
    // So many boxes are no index that is known here.
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    /// Decides over a file, and fails if a byte is read that is not there.
    fn decide(file: &[u8], prefix: u64, tail: u64) -> Layout {
        let size = file.len() as u64;
        let there = Arrived { prefix, tail, size };
        layout(&there, |at, buffer| {
            let end = at + buffer.len() as u64;
            assert!(
                end <= size && (end <= prefix || at >= tail || prefix >= tail),
                "{at}..{end} is not there"
            );
            buffer.copy_from_slice(&file[usize::try_from(at).unwrap()..][..buffer.len()]);
            Ok(())
        })
        .unwrap()
    }

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange { start, end }
    }

    #[test]
    fn an_index_in_front_is_there_with_the_first_media_data() {
        let file = [
            boxed(b"ftyp", &[0; 8]),
            boxed(b"moov", &boxed(b"trak", &[0; 92])),
            boxed(b"mdat", &[0; 4000]),
        ]
        .concat();
        let size = file.len() as u64;
        assert_eq!(decide(&file, 10, size), Layout::Later(16));
        assert_eq!(decide(&file, 40, size), Layout::Later(124));
        assert_eq!(decide(&file, 130, size), Layout::Later(140));
        assert_eq!(
            decide(&file, 140, size),
            Layout::Later(size),
            "the media data is shorter than a probe wants"
        );
        assert_eq!(decide(&file, size, size), Layout::Indexed(vec![range(0, size)]));
    }

    #[test]
    fn an_index_at_the_end_is_there_with_the_tail() {
        let mdat = boxed(b"mdat", &vec![0; 3 << 20]);
        let file = [boxed(b"ftyp", &[0; 8]), mdat, boxed(b"moov", &[0; 100])].concat();
        let size = file.len() as u64;
        assert_eq!(decide(&file, 1000, size), Layout::Complete, "no tail");
        let first = 16 + FIRST_MEDIA_BYTES;
        assert_eq!(decide(&file, 1000, size - 500), Layout::Later(first));
        assert_eq!(
            decide(&file, 2 << 20, size - 500),
            Layout::Indexed(vec![range(0, first), range(size - 108, size)])
        );
        assert_eq!(
            decide(&file, 2 << 20, size - 50),
            Layout::Complete,
            "a tail without the index's start"
        );
    }

    #[test]
    fn what_has_no_whole_index_waits() {
        let fragments = [
            boxed(b"ftyp", &[0; 8]),
            boxed(b"moov", &boxed(b"mvex", &[])),
            boxed(b"mdat", &[0; 99]),
        ]
        .concat();
        let size = fragments.len() as u64;
        assert_eq!(decide(&fragments, 100, size), Layout::Later(101));
        assert_eq!(decide(&fragments, size, size), Layout::Complete, "not one fragment");
        let letter = b"this is a letter, not a film".repeat(9);
        assert_eq!(decide(&letter, 100, letter.len() as u64), Layout::Complete);
        let lying = [
            boxed(b"ftyp", &[0; 8]),
            [0, 0, 0, 1, b'm', b'o', b'o', b'v'].to_vec(),
            vec![0xFF; 80],
        ]
        .concat();
        assert_eq!(decide(&lying, 60, lying.len() as u64), Layout::Complete);
        assert_eq!(decide(&boxed(b"free", &[]).repeat(100), 800, 800), Layout::Complete);
        assert_eq!(decide(b"", 0, 0), Layout::Complete);
    }
}
