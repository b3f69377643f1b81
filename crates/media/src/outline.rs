//! What a whole MP4 or MOV file keeps beside its media data (ISO/IEC 14496-12, section 4.2): with that and the packets that it needs, a
//! task has all that it would see in the file. Files whose packets are not told by one index have no outline.

use std::io;

use crate::{
    ByteRange,
    layout::{INDEX_BYTES_MAX, header, is_fragmented},
};

/// The most outermost boxes that a file may have.
const BOXES_MAX: u32 = 256;
/// How much of the media data every task gets: what programs read to find out what the headers don't tell, ffmpeg's `probesize` of 5 MB
/// and the packet with which it is reached.
const OPENING_BYTES: u64 = 8 << 20;
/// The longest header of a box.
const HEADER_BYTES: u64 = 16;

/// Looks for everything of a whole file of `size` bytes but its packets: all boxes, of media data the header, and its first bytes. `None`
/// if its packets aren't told by one index. `read` fills a buffer with the file's bytes from an offset on.
///
/// # Errors
/// Those of `read`.
pub fn outline(
    size: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Option<Vec<ByteRange>>> {
    let (mut at, mut boxes, mut has_index, mut has_media) = (0, Vec::new(), false, false);
    for _ in 0..BOXES_MAX {
        if at == size {
            let bytes: u64 = boxes.iter().map(|range: &ByteRange| range.end - range.start).sum();
            let is_told = has_index && has_media && bytes <= INDEX_BYTES_MAX;
            return Ok(is_told.then(|| joined(boxes)));
        }
        let Some(found) = header(&mut read, at, size)? else {
            return Ok(None);
        };
        let end = match &found.kind {
            b"moov" if has_index || is_fragmented(&mut read, &found)? => return Ok(None),
            b"moof" | b"styp" | b"sidx" | b"mfra" => return Ok(None),
            b"mdat" if has_media => found.end.min(at + HEADER_BYTES),
            b"mdat" => found.end.min(at + OPENING_BYTES),
            _ => found.end,
        };
        has_index |= &found.kind == b"moov";
        has_media |= &found.kind == b"mdat";
        boxes.push(ByteRange { start: at, end });
        at = found.end;
    }
    Ok(None)
}

/// Ranges in order, those that touch as one.
pub(crate) fn joined(mut ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<ByteRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn outline_of(file: &[u8]) -> Option<Vec<ByteRange>> {
        outline(file.len() as u64, |at, buffer| {
            buffer.copy_from_slice(&file[usize::try_from(at).unwrap()..][..buffer.len()]);
            Ok(())
        })
        .unwrap()
    }

    fn range(start: usize, end: usize) -> ByteRange {
        let [start, end] = [start, end].map(|at| u64::try_from(at).unwrap());
        ByteRange { start, end }
    }

    #[test]
    fn all_but_packets_is_told() {
        let long = vec![0; 9 << 20];
        let (first, second) = (boxed(b"mdat", &long), boxed(b"mdat", &long));
        let index = boxed(b"moov", &boxed(b"trak", &[0; 92]));
        let file = [boxed(b"ftyp", &[0; 8]), first, second, index, boxed(b"free", &[0; 5])].concat();
        let begun = 16 + (9 << 20) + 8;
        let end = file.len();
        assert_eq!(
            outline_of(&file),
            Some(vec![
                range(0, 16 + (8 << 20)),
                range(begun, begun + 16),
                range(end - 121, end)
            ])
        );
    }

    #[test]
    fn what_has_not_one_index_has_no_outline() {
        let (start, media) = (boxed(b"ftyp", &[0; 8]), boxed(b"mdat", &[0; 9]));
        let index = boxed(b"moov", &boxed(b"trak", &[]));
        let whole = [&start[..], &index, &media].concat();
        assert_eq!(outline_of(&whole), Some(vec![range(0, whole.len())]));
        for (name, file) in [
            ("nothing", Vec::new()),
            ("a letter", b"this is a letter, not a film".repeat(9)),
            ("no index", [&start[..], &media].concat()),
            ("no media", [&start[..], &index].concat()),
            ("two indexes", [&whole[..], &index].concat()),
            ("cut", whole[..whole.len() - 1].to_vec()),
            ("rubbish behind", [&whole[..], b"rubbish"].concat()),
            (
                "fragments",
                [&start[..], &boxed(b"moov", &boxed(b"mvex", &[])), &media].concat(),
            ),
            ("segments", [&whole[..], &boxed(b"moof", &[])].concat()),
            ("many boxes", [&whole[..], &boxed(b"free", &[]).repeat(300)].concat()),
        ] {
            assert_eq!(outline_of(&file), None, "{name}");
        }
    }
}
