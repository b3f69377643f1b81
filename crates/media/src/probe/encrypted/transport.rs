//! Scrambled transport streams (ISO/IEC 13818-1, 2.4.3.2): each packet says whether its payload is.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use crate::probe::container::read_at;

/// How long packets are: alone, with a time before each (as cameras write them), and with a checksum behind.
const PACKET_BYTES: [usize; 3] = [188, 192, 204];
const SYNC: u8 = 0x47;
/// So many in a row make a transport stream.
const PACKETS_MIN: usize = 8;
/// How much is looked at, in bytes: at the beginning, and as much in the middle.
const LOOK_BYTES: usize = 1 << 20;
/// The first id that pictures and sound may have, and the id of padding.
const FIRST_MEDIA_ID: u16 = 0x20;
const PADDING_ID: u16 = 0x1FFF;
/// A stream of which more than half of at least so many packets are scrambled can't be decoded. Recordings often begin or end with
/// a few that are.
const SCRAMBLED_MIN: u32 = 16;

/// Whether a file is a transport stream of which a part is scrambled.
pub(in crate::probe) fn is_scrambled(file: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    let mut counts = BTreeMap::new();
    let mut buffer = vec![0; LOOK_BYTES];
    for at in [0, length / 2] {
        let count = read_at(file, at, &mut buffer)?;
        if !add(&buffer[..count], &mut counts) {
            return Ok(false);
        }
    }
    let is_most = |(scrambled, all): &(u32, u32)| *scrambled >= SCRAMBLED_MIN && scrambled * 2 > *all;
    Ok(counts.values().any(is_most))
}

/// Adds how many packets with a payload there are of each stream, and how many of them are scrambled. False if these are no packets.
fn add(bytes: &[u8], counts: &mut BTreeMap<u16, (u32, u32)>) -> bool {
    let Some((first, length)) = packets(bytes) else {
        return false;
    };
    for packet in bytes[first..].chunks(length) {
        let [SYNC, high, low, control, ..] = *packet else {
            continue;
        };
        let id = u16::from_be_bytes([high, low]) & 0x1FFF;
        let has_payload = control & 0x10 != 0;
        if has_payload && (FIRST_MEDIA_ID..PADDING_ID).contains(&id) {
            let (scrambled, all) = counts.entry(id).or_default();
            *scrambled += u32::from(control & 0xC0 != 0);
            *all += 1;
        }
    }
    true
}

/// Where the first packet begins, and how far the next one is.
fn packets(bytes: &[u8]) -> Option<(usize, usize)> {
    let is_sync = |at: usize| bytes.get(at) == Some(&SYNC);
    let ways = PACKET_BYTES
        .iter()
        .flat_map(|&length| (0..length).map(move |first| (first, length)));
    let mut found = ways.filter(|(first, length)| (0..PACKETS_MIN).all(|n| is_sync(first + n * length)));
    found.next()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// So many packets of a stream, of which the first ones are scrambled.
    fn stream(id: u16, count: usize, scrambled: usize, length: usize) -> Vec<u8> {
        let packet = |n: usize| {
            let [high, low] = id.to_be_bytes();
            let mut packet = vec![0xAA; length];
            let at = if length == 192 { 4 } else { 0 };
            packet[at..at + 4].copy_from_slice(&[SYNC, high, low, if n < scrambled { 0x90 } else { 0x10 }]);
            packet
        };
        (0..count).flat_map(packet).collect()
    }

    fn looked(bytes: &[u8]) -> bool {
        is_scrambled(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn streams_that_are_scrambled_for_the_most_part_are_found() {
        for length in PACKET_BYTES {
            assert!(looked(&stream(0x100, 200, 200, length)), "{length}");
            assert!(!looked(&stream(0x100, 200, 0, length)), "{length}");
            assert!(!looked(&stream(0x100, 200, 40, length)), "{length}: only at the start");
            let sound = [stream(0x100, 200, 0, length), stream(0x101, 40, 40, length)].concat();
            assert!(looked(&sound), "{length}: only the sound");
        }
        assert!(!looked(&stream(0, 200, 200, 188)), "tables");
        assert!(!looked(&stream(PADDING_ID, 200, 200, 188)), "padding");
        assert!(
            looked(&[&[1; 100][..], &stream(0x100, 200, 200, 188)].concat()),
            "begins in a packet"
        );
    }

    #[test]
    fn other_files_are_none() {
        assert!(!looked(&[0xD0; 4000]));
        assert!(!looked(&stream(0x100, 7, 7, 188)), "too short to be told");
        assert!(!looked(b""));
    }
}
