//! Changes to finished files that no tool here makes.

/// Where a display matrix stands in the body of a `tkhd` box of version 0 (ISO/IEC 14496-12, 8.3.2).
const MATRIX_OFFSET: usize = 40;
/// Where the duration stands in the body of an `mvhd` box of version 0 (8.2.2).
const DURATION_OFFSET: usize = 16;
/// How long a packet of a transport stream is.
const TS_PACKET_BYTES: usize = 188;
/// How a PES packet of pictures begins, which no H.264 stream has inside, and where its flags stand (ISO/IEC 13818-1, 2.4.3.6).
const PES_START: [u8; 4] = [0, 0, 1, 0xE0];
const PES_FLAGS_OFFSET: usize = 6;
/// What a decoder of Matroska needs beforehand, and what is to be skipped (RFC 9559, 5.1.4.1.24, and RFC 8794, 11.3.2).
const CODEC_PRIVATE: [u8; 2] = [0x63, 0xA2];
const VOID: u8 = 0xEC;
/// That a track is encrypted with AES (RFC 9559, 5.1.4.1.31): `ContentEncodings` with one `ContentEncoding` in it, of which the
/// type is 1 and the algorithm 5.
const ENCRYPTED_WITH_AES: [u8; 17] = [
    0x6D, 0x80, 0x8E, 0x62, 0x40, 0x8B, 0x50, 0x33, 0x81, 1, 0x50, 0x35, 0x84, 0x47, 0xE1, 0x81, 5,
];
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

/// Claims that all packets of pictures and sound in a transport stream are scrambled.
#[expect(clippy::ptr_arg, reason = "all patches have one type, and others change the length")]
pub(super) fn scrambled(file: &mut Vec<u8>) {
    for packet in file.chunks_exact_mut(TS_PACKET_BYTES) {
        // ffmpeg gives them ids from 0x100 on; tables have others.
        if packet[1] & 0x1F == 1 {
            packet[3] |= 0xC0;
        }
    }
}

/// Claims that all PES packets of pictures in a transport stream are scrambled.
#[expect(clippy::ptr_arg, reason = "all patches have one type, and others change the length")]
pub(super) fn scrambled_inside(file: &mut Vec<u8>) {
    let starts = file.windows(PES_START.len()).enumerate();
    let found: Vec<usize> = starts
        .filter(|(_, bytes)| *bytes == PES_START)
        .map(|(at, _)| at)
        .collect();
    for at in found {
        file[at + PES_FLAGS_OFFSET] |= 0x30;
    }
}

/// Claims that the first track of a Matroska file is encrypted, in the place of what its decoder needs.
#[expect(clippy::ptr_arg, reason = "all patches have one type, and others change the length")]
pub(super) fn encrypted_matroska(file: &mut Vec<u8>) {
    let at = file.windows(2).position(|bytes| bytes == CODEC_PRIVATE).unwrap();
    let (body, length) = (at + 3, usize::from(file[at + 2] & 0x7F));
    file[at..at + ENCRYPTED_WITH_AES.len()].copy_from_slice(&ENCRYPTED_WITH_AES);
    // What is left of it is skipped.
    let left = at + ENCRYPTED_WITH_AES.len();
    let skipped = body + length - left - 2;
    file[left..left + 2].copy_from_slice(&[VOID, 0x80 | u8::try_from(skipped).unwrap()]);
}

/// Begins in the middle of a packet, as recordings of a broadcast do.
pub(super) fn beheaded(file: &mut Vec<u8>) {
    file.drain(..40_003);
}

/// Where the body of the first box of a type begins.
fn body(file: &[u8], kind: &[u8; 4]) -> usize {
    file.windows(4).position(|bytes| bytes == kind).unwrap() + 4
}
