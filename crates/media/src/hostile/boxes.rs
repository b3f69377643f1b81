//! Changes to the boxes of finished MP4 files (ISO/IEC 14496-12, section 4.2).

/// A box.
pub(super) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + body.len()).unwrap();
    [&size.to_be_bytes()[..], kind, body].concat()
}

/// The same boxes with another body for the first one at a path. Nothing else is moved as long as what follows isn't referred to.
pub(super) fn with_body(boxes: &[u8], path: &[&[u8; 4]], body: &[u8]) -> Vec<u8> {
    let (kind, rest) = path.split_first().expect("a path");
    let (start, end) = find(boxes, kind).unwrap_or_else(|| panic!("no box {kind:?}"));
    let inner = if rest.is_empty() {
        body.to_vec()
    } else {
        with_body(&boxes[start + 8..end], rest, body)
    };
    [&boxes[..start], &boxed(kind, &inner), &boxes[end..]].concat()
}

/// Where a box is.
fn find(boxes: &[u8], kind: &[u8; 4]) -> Option<(usize, usize)> {
    let mut at = 0;
    while at + 8 <= boxes.len() {
        let size = u32::from_be_bytes(boxes[at..at + 4].try_into().unwrap()) as usize;
        if &boxes[at + 4..at + 8] == kind {
            return Some((at, at + size));
        }
        at += size.max(8);
    }
    None
}
