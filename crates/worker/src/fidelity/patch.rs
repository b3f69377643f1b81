//! Changes to finished files that no tool here makes.

/// Where a display matrix stands in the body of a `tkhd` box of version 0 (ISO/IEC 14496-12, 8.3.2).
const MATRIX_OFFSET: usize = 40;
/// Where the duration stands in the body of an `mvhd` box of version 0 (8.2.2).
const DURATION_OFFSET: usize = 16;
/// 1 as a matrix has it: 16 bits before the point, 16 after it.
const ONE: i32 = 0x1_0000;

/// Has a player mirror the picture of the first track, left to right.
#[expect(clippy::ptr_arg, reason = "all patches have one type, and others change the length")]
pub(super) fn mirrored(file: &mut Vec<u8>) {
    let at = body(file, b"tkhd") + MATRIX_OFFSET;
    file[at..at + 4].copy_from_slice(&(-ONE).to_be_bytes());
}

/// Claims a duration of many days.
#[expect(clippy::ptr_arg, reason = "all patches have one type, and others change the length")]
pub(super) fn endless(file: &mut Vec<u8>) {
    let at = body(file, b"mvhd") + DURATION_OFFSET;
    file[at..at + 4].copy_from_slice(&0x7FFF_FFFF_u32.to_be_bytes());
}

/// Begins in the middle of a packet, as recordings of a broadcast do.
pub(super) fn beheaded(file: &mut Vec<u8>) {
    file.drain(..40_003);
}

/// Where the body of the first box of a type begins.
fn body(file: &[u8], kind: &[u8; 4]) -> usize {
    file.windows(4).position(|bytes| bytes == kind).unwrap() + 4
}
