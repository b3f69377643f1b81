//! Encrypted transport streams. There are three ways: each packet says whether its payload is scrambled (ISO/IEC 13818-1, 2.4.3.2),
//! each PES packet says it of itself (2.4.3.6), or a program's table says it of streams whose samples are (`tables`).

mod packet;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use self::{
    packet::{Packet, SYNC},
    tables::Sections,
};
use crate::probe::container::read_at;

/// How long packets are: alone, with a time before each (as cameras write them), and with a checksum behind.
const PACKET_BYTES: [usize; 3] = [packet::BYTES, 192, 204];
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
/// The same for PES packets, of which what is looked at may hold few: large pictures fill it with a dozen. A capture with a damaged
/// header or two is still taken.
const SCRAMBLED_PES_MIN: u32 = 3;
/// One table is enough if more than half of them say so: its checksum holds.
const TABLES_MIN: u32 = 1;
/// The ids of PES packets with sound and pictures (ISO/IEC 13818-1, 2.4.3.7).
const MEDIA_STREAM_IDS: std::ops::RangeInclusive<u8> = 0xC0..=0xEF;

/// How many of something were seen, and of how many it holds.
#[derive(Default)]
struct Share {
    of: u32,
    all: u32,
}

/// What was seen of a stream.
#[derive(Default)]
struct Stream {
    /// Packets with a payload, and scrambled ones.
    packets: Share,
    /// PES packets that could be read, and scrambled ones.
    pes: Share,
    /// Tables that name it, and those that give it a type with encrypted samples.
    tables: Share,
    /// A table also describes its samples as encrypted.
    is_described: bool,
    /// Its PES packets are ones of pictures or sound.
    has_media: bool,
}

/// Whether a file is a transport stream of which a part is encrypted.
pub(in crate::probe) fn is_scrambled(file: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    let middle = length.div_ceil(2);
    // A short file is looked at in halves, so that nothing of it counts twice.
    let mut buffer = vec![0; usize::try_from(middle).map_or(LOOK_BYTES, |half| half.min(LOOK_BYTES))];
    let mut streams = BTreeMap::new();
    for at in [0, middle] {
        let count = read_at(file, at, &mut buffer)?;
        if !add(&buffer[..count], &mut streams) {
            return Ok(false);
        }
    }
    Ok(streams.values().any(Stream::is_encrypted))
}

/// Adds what packets say of each stream. False if these are no packets.
fn add(bytes: &[u8], streams: &mut BTreeMap<u16, Stream>) -> bool {
    let Some((first, length)) = packets(bytes) else {
        return false;
    };
    let mut sections = Sections::default();
    for packet in bytes[first..].chunks(length).filter_map(Packet::read) {
        if (FIRST_MEDIA_ID..PADDING_ID).contains(&packet.id) {
            streams.entry(packet.id).or_default().add(&packet);
        }
        for named in sections.add(&packet) {
            let stream = streams.entry(named.id).or_default();
            stream.tables.add(named.has_encrypted_type);
            stream.is_described |= named.is_described;
        }
    }
    true
}

impl Share {
    fn add(&mut self, holds: bool) {
        self.of += u32::from(holds);
        self.all += 1;
    }

    /// It holds of more than half, and of at least so many.
    fn is_most(&self, min: u32) -> bool {
        self.of >= min && self.of * 2 > self.all
    }
}

impl Stream {
    fn add(&mut self, packet: &Packet<'_>) {
        self.packets.add(packet.is_scrambled);
        if let Some(header) = packet.pes() {
            self.pes.add(header.is_scrambled);
            self.has_media |= MEDIA_STREAM_IDS.contains(&header.stream_id);
        }
    }

    fn is_encrypted(&self) -> bool {
        // Data of another kind may have the type, and streams are named that aren't there.
        let is_believed = self.has_media || (self.is_described && self.packets.all > 0);
        self.packets.is_most(SCRAMBLED_MIN)
            || self.pes.is_most(SCRAMBLED_PES_MIN)
            || (is_believed && self.tables.is_most(TABLES_MIN))
    }
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
