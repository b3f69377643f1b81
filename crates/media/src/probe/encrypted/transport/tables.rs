//! The tables of programs (ISO/IEC 13818-1, 2.4.4.8): which streams there are, and which of them have encrypted samples in packets
//! that say nothing of it (Apple, MPEG-2 Stream Encryption Format for HTTP Live Streaming).

use std::collections::BTreeMap;

use super::packet::Packet;

/// The first byte of the table of a program.
const PROGRAM_MAP: u8 = 2;
/// A section's bytes up to and with its length, and up to the length of what is told of the whole program.
const LENGTH_END: usize = 3;
const PROGRAM_INFO_AT: usize = 10;
const CRC_BYTES: usize = 4;
/// The polynomial of the checksum (annex A).
const CRC_POLYNOMIAL: u32 = 0x04C1_1DB7;
/// The types of streams with encrypted samples of H.264, AAC, AC-3 and E-AC-3, each with what its descriptor says.
const ENCRYPTED_SAMPLES: [(u8, &[u8; 4]); 4] = [(0xDB, b"zavc"), (0xCF, b"aacd"), (0xC1, b"ac3d"), (0xC2, b"ec3d")];
/// The descriptor that says it: `private_data_indicator_descriptor` (2.6.28).
const PRIVATE_DATA_INDICATOR: u8 = 15;

/// What a table says of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The id of its packets.
    pub(super) id: u16,
    /// Its type is one of those with encrypted samples. That alone proves little: the types are ones that everybody may use for
    /// data of his own, and some do (ATSC A/90, SCTE 19).
    pub(super) has_encrypted_type: bool,
    /// A descriptor says so as well.
    pub(super) is_described: bool,
}

/// The sections that are being put together, by the id of their packets.
#[derive(Default)]
pub(super) struct Sections(BTreeMap<u16, Vec<u8>>);

impl Sections {
    /// Adds a packet, and gives what the tables say that are whole with it.
    pub(super) fn add(&mut self, packet: &Packet<'_>) -> Vec<Named> {
        let mut found = Vec::new();
        let (end, start) = match packet.payload.split_first() {
            _ if packet.is_scrambled => (&[][..], &[][..]),
            // The first byte points over the end of the section before.
            Some((&pointer, rest)) if packet.begins => rest.split_at_checked(pointer.into()).unwrap_or_default(),
            _ => (packet.payload, &[][..]),
        };
        let mut open = self.0.remove(&packet.id).unwrap_or_default();
        if !open.is_empty() {
            open.extend_from_slice(end);
            take_whole(&mut open, &mut found);
        }
        if packet.begins {
            open = start.to_vec();
            take_whole(&mut open, &mut found);
        }
        if open.first() == Some(&PROGRAM_MAP) {
            self.0.insert(packet.id, open);
        }
        found
    }
}

/// Takes the sections that are whole away from the front.
fn take_whole(open: &mut Vec<u8>, found: &mut Vec<Named>) {
    while let [PROGRAM_MAP, high, low, ..] = open[..] {
        let length = LENGTH_END + length(high, low);
        if length > open.len() {
            break;
        }
        let section: Vec<u8> = open.drain(..length).collect();
        found.extend(streams(&section).unwrap_or_default());
    }
}

/// What a section says, if it is undamaged and already holds.
fn streams(section: &[u8]) -> Option<Vec<Named>> {
    let holds = section.get(5)? & 1 != 0;
    if !holds || crc(section) != 0 {
        return None;
    }
    let [high, low] = *section.get(PROGRAM_INFO_AT..)?.first_chunk()?;
    let from = PROGRAM_INFO_AT + 2 + length(high, low);
    let mut rest = section.get(from..section.len() - CRC_BYTES)?;
    let mut found = Vec::new();
    while let [kind, id_high, id_low, high, low, behind @ ..] = rest {
        let (descriptors, next) = behind.split_at_checked(length(*high, *low))?;
        let encrypted = ENCRYPTED_SAMPLES.iter().find(|(encrypted, _)| encrypted == kind);
        found.push(Named {
            id: u16::from_be_bytes([*id_high, *id_low]) & 0x1FFF,
            has_encrypted_type: encrypted.is_some(),
            is_described: encrypted.is_some_and(|(_, word)| is_among(word, descriptors)),
        });
        rest = next;
    }
    Some(found)
}

/// Whether one of the descriptors indicates this private data.
fn is_among(word: &[u8; 4], mut descriptors: &[u8]) -> bool {
    while let [tag, length, behind @ ..] = descriptors {
        let Some((body, next)) = behind.split_at_checked(usize::from(*length)) else {
            break;
        };
        if *tag == PRIVATE_DATA_INDICATOR && body == word {
            return true;
        }
        descriptors = next;
    }
    false
}

/// A length of 12 bits.
fn length(high: u8, low: u8) -> usize {
    usize::from(u16::from_be_bytes([high, low]) & 0x0FFF)
}

/// The checksum of sections (annex A); 0 for one together with its own.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc << 1 ^ if crc >> 31 == 1 { CRC_POLYNOMIAL } else { 0 };
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| step(crc));
    bytes.iter().fold(u32::MAX, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The section of a program with these streams: types, ids and descriptors.
    fn section(streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0, 1, 0xC1, 0, 0, 0xE1, 0x00, 0xF0, 0x00];
        for (kind, id, descriptors) in streams {
            let [id_high, id_low] = (0xE000 | id).to_be_bytes();
            let [high, low] = (0xF000 | u16::try_from(descriptors.len()).unwrap()).to_be_bytes();
            body.extend([*kind, id_high, id_low, high, low]);
            body.extend(*descriptors);
        }
        let [high, low] = (0xB000 | u16::try_from(body.len() + CRC_BYTES).unwrap()).to_be_bytes();
        let mut section = [&[PROGRAM_MAP, high, low][..], &body].concat();
        section.extend(crc(&section).to_be_bytes());
        section
    }

    /// What is found in payloads that follow each other.
    fn found(payloads: &[(bool, Vec<u8>)]) -> Vec<(u16, bool, bool)> {
        let mut sections = Sections::default();
        let mut add = |(begins, payload): &(bool, Vec<u8>)| {
            sections.add(&Packet {
                id: 0x1000,
                begins: *begins,
                is_scrambled: false,
                payload,
            })
        };
        let named = payloads.iter().flat_map(&mut add);
        named
            .map(|named| (named.id, named.has_encrypted_type, named.is_described))
            .collect()
    }

    fn begun(section: &[u8]) -> (bool, Vec<u8>) {
        (true, [&[0], section, &[0xFF; 20]].concat())
    }

    #[test]
    fn types_and_descriptors_are_read() {
        let all = section(&[
            (0x1B, 0x100, b""),
            (0xDB, 0x101, b"\x0F\x04zavc"),
            (0xCF, 0x102, b"\x0A\x04eng\0\x0F\x04aacd"),
            (0xC1, 0x103, b"\x0F\x04ec3d"),
            (0xC2, 0x104, b"\x0F\x04ec3"),
        ]);
        let expected = [
            (0x100, false, false),
            (0x101, true, true),
            (0x102, true, true),
            (0x103, true, false),
            (0x104, true, false),
        ];
        assert_eq!(found(&[begun(&all)]), expected);
    }

    #[test]
    fn a_damaged_section_says_nothing() {
        let whole = section(&[(0xDB, 0x101, b"\x0F\x04zavc")]);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert_eq!(found(&[begun(&damaged)]), [], "byte {at}");
        }
        let mut later = section(&[(0xDB, 0x101, b"")]);
        later[5] &= !1;
        let end = later.len() - CRC_BYTES;
        let sum = crc(&later[..end]).to_be_bytes();
        later[end..].copy_from_slice(&sum);
        assert_eq!(found(&[begun(&later)]), [], "doesn't hold yet");
    }

    #[test]
    fn a_section_goes_over_several_packets_and_several_lie_in_one() {
        let descriptors = [&[0x0A, 250][..], &[1; 250], b"\x0F\x04zavc"].concat();
        let long = section(&[(0xDB, 0x101, &descriptors)]);
        let (one, other) = long.split_at(183);
        let short = section(&[(0x1B, 0x100, b"")]);
        let pointed = [&[u8::try_from(other.len()).unwrap()], other, &short, &short, &[0xFF; 9]].concat();
        let expected = [(0x101, true, true), (0x100, false, false), (0x100, false, false)];
        assert_eq!(found(&[(true, [&[0], one].concat()), (true, pointed)]), expected);
        let first = (true, [&[0], one].concat());
        assert_eq!(found(&[first.clone(), (false, other.to_vec())]), expected[..1]);
        assert_eq!(found(&[first, begun(&short)]), expected[1..2], "a packet is missing");
        assert_eq!(found(&[(false, other.to_vec())]), []);
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc(b"123456789"), 0x0376_E6E7);
    }
}
