use std::io::Cursor;

use reelway_domain::Reason;

use super::*;
use crate::testbench::{Bench, reason};

/// The ids that ffmpeg gives to the table, the picture and the sound.
const TABLE: u16 = 0x1000;
const PICTURE: u16 = 0x100;
const SOUND: u16 = 0x101;
const ALL: usize = usize::MAX;

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

/// A second of a picture and of sound.
fn clip(bench: &Bench, codecs: &str) -> Vec<u8> {
    std::fs::read(bench.clip("30", 1.0, codecs, "clip.ts")).unwrap()
}

/// Changes the first so many packets of an id in which something begins: gets each with where its payload begins.
fn changed(file: &[u8], id: u16, count: usize, change: impl Fn(&mut [u8], usize)) -> Vec<u8> {
    let mut file = file.to_vec();
    let (first, length) = packets(&file).unwrap();
    let begins = |packet: &[u8]| {
        let found = Packet::read(packet).filter(|found| found.id == id && found.begins)?;
        Some(packet.len().min(packet::BYTES) - found.payload.len())
    };
    let mut left = count;
    for packet in file[first..].chunks_mut(length) {
        if let (1.., Some(at)) = (left, begins(packet)) {
            change(packet, at);
            left -= 1;
        }
    }
    assert!(left == 0 || count == ALL, "{left} are missing");
    file
}

/// Says of PES packets that they are scrambled.
fn flagged(file: &[u8], id: u16, count: usize) -> Vec<u8> {
    changed(file, id, count, |packet, at| packet[at + 6] |= 0x10)
}

/// How many PES packets a stream has.
fn pes_count(file: &[u8], id: u16) -> usize {
    let (first, length) = packets(file).unwrap();
    let packets = file[first..].chunks(length).filter_map(Packet::read);
    packets
        .filter(|packet| packet.id == id && packet.pes().is_some())
        .count()
}

/// Gives a stream another type and one more descriptor in the table of the program.
fn retyped(file: &[u8], id: u16, count: usize, kind: u8, descriptor: &[u8]) -> Vec<u8> {
    changed(file, TABLE, count, |packet, at| {
        let end = at + 4 + usize::from(packet[at + 3]);
        let mut section = packet[at + 1..end - 4].to_vec();
        let [high, low] = (0xE000 | id).to_be_bytes();
        let place = 12 + section[12..].windows(2).position(|bytes| bytes == [high, low]).unwrap();
        section[place - 1] = kind;
        let more = u8::try_from(descriptor.len()).unwrap();
        section[2] += more;
        section[place + 3] += more;
        section.splice(place + 4..place + 4, descriptor.iter().copied());
        section.extend(tables::crc(&section).to_be_bytes());
        packet[at + 1..at + 1 + section.len()].copy_from_slice(&section);
    })
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
    let mut damaged = stream(0x100, 200, 200, 188);
    damaged.chunks_mut(188).for_each(|packet| packet[1] |= 0x80);
    assert!(!looked(&damaged), "flags of damaged packets");
}

#[test]
fn other_files_are_none() {
    assert!(!looked(&[0xD0; 4000]));
    assert!(!looked(&stream(0x100, 7, 7, 188)), "too short to be told");
    assert!(!looked(b""));
}

#[test]
fn nothing_of_a_short_file_counts_twice() {
    let count = SCRAMBLED_MIN as usize;
    for (scrambled, expected) in [(count - 1, false), (count, true)] {
        let file = [stream(0x100, count, 0, 188), stream(0x101, scrambled, scrambled, 188)].concat();
        assert_eq!(looked(&file), expected, "{scrambled}");
    }
}

#[tokio::test]
async fn clear_streams_are_let_through() {
    let bench = Bench::new().await;
    for codecs in [
        "-c:v libx264 -preset ultrafast -c:a aac",
        "-c:v libx264 -preset ultrafast -c:a ac3 -mpegts_m2ts_mode 1",
        "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a eac3",
        "-c:v mpeg2video -c:a mp2",
    ] {
        assert!(!looked(&clip(&bench, codecs)), "{codecs}");
    }
}

#[tokio::test]
async fn scrambled_pes_packets_are_found() {
    let bench = Bench::new().await;
    for mode in ["0", "1"] {
        let codecs = format!("-c:v libx264 -preset ultrafast -c:a aac -b:a 256k -mpegts_m2ts_mode {mode}");
        let clip = clip(&bench, &codecs);
        let ids = if mode == "0" {
            [PICTURE, SOUND]
        } else {
            [0x1011, 0x1100]
        };
        for id in ids {
            let count = pes_count(&clip, id);
            assert!(count > 2 * SCRAMBLED_PES_MIN as usize, "{count} of {id}");
            assert!(looked(&flagged(&clip, id, ALL)), "{id}");
            assert!(looked(&flagged(&clip, id, count / 2 + 1)), "{id}");
            assert!(!looked(&flagged(&clip, id, count / 2)), "{id}: no more than half");
        }
    }
    let short = clip(&bench, "-c:v libx264 -preset ultrafast -frames:v 3");
    let flags = [0, 1, 2, 3].map(|count| looked(&flagged(&short, PICTURE, count)));
    assert_eq!(flags, [false, false, false, true], "a stray flag is no encryption");
}

#[tokio::test]
async fn encrypted_samples_are_found_by_the_table() {
    let bench = Bench::new().await;
    let aac = clip(&bench, "-c:v libx264 -preset ultrafast -c:a aac");
    assert!(looked(&retyped(&aac, PICTURE, ALL, 0xDB, b"\x0F\x04zavc")));
    assert!(
        looked(&retyped(&aac, PICTURE, ALL, 0xDB, b"")),
        "the packets are ones of a picture"
    );
    assert!(looked(&retyped(&aac, SOUND, ALL, 0xCF, b"\x0F\x04aacd")));
    assert!(
        !looked(&retyped(&aac, PICTURE, ALL, 0x1B, b"\x0F\x04zavc")),
        "only a descriptor"
    );
    assert!(
        !looked(&retyped(&aac, PICTURE, 1, 0xDB, b"\x0F\x04zavc")),
        "one of several tables"
    );
    for (codec, kind, descriptor) in [("ac3", 0xC1, b"\x0F\x04ac3d"), ("eac3", 0xC2, b"\x0F\x04ec3d")] {
        let clip = clip(&bench, &format!("-c:v libx264 -preset ultrafast -c:a {codec}"));
        assert!(looked(&retyped(&clip, SOUND, ALL, kind, descriptor)), "{codec}");
        assert!(
            !looked(&retyped(&clip, SOUND, ALL, kind, b"")),
            "{codec}: may be data of any kind"
        );
    }
    let wrong = retyped(&aac, PICTURE, ALL, 0xDB, b"\x0F\x04zavc");
    let damaged = changed(&wrong, TABLE, ALL, |packet, at| packet[at + 5] ^= 1);
    assert!(!looked(&damaged), "the checksum is another");
}

#[tokio::test]
async fn they_are_refused_like_all_that_is_encrypted() {
    let bench = Bench::new().await;
    let clip = clip(&bench, "-c:v libx264 -preset ultrafast -c:a aac");
    let samples = retyped(&clip, PICTURE, ALL, 0xDB, b"\x0F\x04zavc");
    for bytes in [flagged(&clip, PICTURE, ALL), samples] {
        let file = bench.file("encrypted.ts", &bytes);
        assert_eq!(reason(bench.probe(&file).await), Reason::SourceCodecUnsupported);
    }
    let clear = bench.file("clear.ts", &clip);
    assert!(bench.probe(&clear).await.is_ok());
}
