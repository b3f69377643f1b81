//! Small files that become large: compressed, in pixels, in streams, in samples, in time.

use std::io::Write as _;

use flate2::{Compression, Crc, write::ZlibEncoder};
use reelway_domain::Reason;

use super::{
    bench,
    boxes::{boxed, with_body},
    way,
};
use crate::{SandboxLevel, testbench::Bench};

const CLIP: &str = "-f lavfi -i testsrc2=s=64x64:r=10:d=1";
const TABLES: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
/// More than a table of samples can be, and less than its numbers can say.
const SAMPLES: u32 = 0x0FFF_FFFF;

/// Goes the whole way, and expects this reason.
async fn ends(bench: &Bench, name: &str, bytes: &[u8], expected: Reason) {
    let reason = way(bench, &bench.file(name, bytes)).await;
    assert_eq!(reason, Some(expected), "{name}");
}

/// An index that is compressed (the `cmov` box of QuickTime), and says how large it will be.
fn compressed(claimed: u32, block: &[u8], blocks: usize) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..blocks {
        zlib.write_all(block).unwrap();
    }
    let data = [&claimed.to_be_bytes()[..], &zlib.finish().unwrap()].concat();
    let index = [boxed(b"dcom", b"zlib"), boxed(b"cmvd", &data)].concat();
    [
        boxed(b"ftyp", b"qt  \0\0\0\0qt  "),
        boxed(b"moov", &boxed(b"cmov", &index)),
        boxed(b"mdat", &[0; 64]),
    ]
    .concat()
}

#[tokio::test]
async fn compressed_indexes() {
    let bench = bench(SandboxLevel::Prefer).await;
    let (zeros, track) = (vec![0; 1 << 20], boxed(b"trak", &[]).repeat(1 << 17));
    for (name, bytes, reason) in [
        (
            "claims.mov",
            compressed(u32::MAX - 64, &zeros, 1),
            Reason::EncoderOutOfMemory,
        ),
        ("zeros.mov", compressed(512 << 20, &zeros, 512), Reason::SourceNoStreams),
        (
            "tracks.mov",
            compressed(64 << 20, &track, 64),
            Reason::EncoderOutOfMemory,
        ),
    ] {
        ends(&bench, name, &bytes, reason).await;
    }
}

/// The same pictures with another size in their first header.
fn resized(bytes: &[u8], mark: &[u8], size: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(mark.len())
        .position(|window| window == mark)
        .expect("the mark")
        + mark.len();
    [&bytes[..at], size, &bytes[at + size.len()..]].concat()
}

#[tokio::test]
async fn giant_pictures() {
    let bench = bench(SandboxLevel::Prefer).await;
    let of = |codec: &str, name: &str| std::fs::read(bench.ffmpeg(&format!("{CLIP} {codec}"), name)).unwrap();
    // VP8 has 14 bits for a side (RFC 6386, section 9.1), JPEG 16 (ITU-T T.81, B.2.2).
    let vp8 = resized(
        &of("-c:v libvpx", "small.webm"),
        &[0x9D, 0x01, 0x2A],
        &[0xFF, 0x3F, 0xFF, 0x3F],
    );
    let jpeg = of("-c:v mjpeg -pix_fmt yuvj420p", "small.avi");
    let jpeg = resized(&jpeg, &[0xFF, 0xC0, 0x00, 0x11, 0x08], &[0xFF, 0xDC, 0xFF, 0xDC]);
    // The container tells the old size, so that only the decoder sees what comes, and it takes none of it.
    ends(&bench, "giant.webm", &vp8, Reason::SourceDamaged).await;
    // Each JPEG has a size of its own: the giant is left out, and the others are as they were.
    assert_eq!(way(&bench, &bench.file("giant.avi", &jpeg)).await, None);
}

#[tokio::test]
async fn giant_cover_art() {
    let bench = bench(SandboxLevel::Prefer).await;
    bench.ffmpeg("-f lavfi -i testsrc2=s=64x64 -frames:v 1", "cover.png");
    bench.ffmpeg("-f lavfi -i sine=d=1 -c:a aac", "sound.m4a");
    let song = "-i sound.m4a -i cover.png -map 0 -map 1 -c copy -disposition:v:0 attached_pic";
    let song = std::fs::read(bench.ffmpeg(song, "song.m4a")).unwrap();
    // Width and height stand first in a header whose checksum must be right (PNG, section 11.2.2).
    let header = song.windows(4).position(|window| window == b"IHDR").unwrap();
    let mut giant = song;
    giant[header + 4..header + 12].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let mut crc = Crc::new();
    crc.update(&giant[header..header + 17]);
    giant[header + 17..header + 21].copy_from_slice(&crc.sum().to_be_bytes());
    // A cover is never decoded, so its size doesn't matter.
    assert_eq!(way(&bench, &bench.file("giant.m4a", &giant)).await, None);
}

#[tokio::test]
async fn a_hundred_streams() {
    let bench = bench(SandboxLevel::Prefer).await;
    let maps = "-map 0 ".repeat(100);
    for name in ["many.mkv", "many.mp4", "many.ts"] {
        let made = bench.ffmpeg(&format!("-f lavfi -i sine=d=0.2 {maps} -c:a aac"), name);
        let bytes = std::fs::read(made).unwrap();
        ends(&bench, name, &bytes, Reason::SourceLimitExceeded).await;
    }
}

/// Tables that speak of a quarter of a billion samples, in a few bytes (ISO/IEC 14496-12, sections 8.6.1 and 8.7).
#[tokio::test]
async fn samples_without_end() {
    let bench = bench(SandboxLevel::Prefer).await;
    let clip = std::fs::read(bench.ffmpeg(&format!("{CLIP} -c:v libx264"), "few.mp4")).unwrap();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let table = |file: &[u8], kind, body: &[u32]| with_body(file, &[&TABLES[..], &[kind]].concat(), &words(body));
    let sizes = table(&clip, b"stsz", &[0, 1, SAMPLES]);
    let times = table(&clip, b"stts", &[0, 1, SAMPLES, 1]);
    let both = table(
        &table(&sizes, b"stts", &[0, 1, SAMPLES, 1]),
        b"stsc",
        &[0, 1, 1, SAMPLES, 1],
    );
    for (name, bytes) in [("sizes.mp4", sizes), ("both.mp4", both)] {
        ends(&bench, name, &bytes, Reason::SourceDamaged).await;
    }
    // There are no more times than samples.
    assert_eq!(way(&bench, &bench.file("times.mp4", &times)).await, None);
}

/// Ten frames in the first second and the rest long after.
#[tokio::test]
async fn time_without_end() {
    let bench = bench(SandboxLevel::Prefer).await;
    let jump = |seconds: u32| {
        format!("{CLIP} -vf setpts=(N+{seconds}*10*gte(N\\,5))/10/TB -fps_mode passthrough -c:v libx264")
    };
    let days = std::fs::read(bench.ffmpeg(&jump(1_000_000), "days.mkv")).unwrap();
    ends(&bench, "days.mkv", &days, Reason::SourceLimitExceeded).await;
    // Within the limits, a hole of five hours costs nothing; one of eleven is longer than a picture can be shown for.
    let hours = bench.ffmpeg(&jump(18_000), "hours.mkv");
    assert_eq!(way(&bench, &hours).await, None);
    let longer = bench.ffmpeg(&jump(39_600), "longer.mkv");
    assert_eq!(way(&bench, &longer).await, Some(Reason::SourceLimitExceeded));
    let many = bench.ffmpeg(
        "-f lavfi -i testsrc2=s=16x16:r=1000:d=2 -c:v libx264 -preset ultrafast",
        "many.mp4",
    );
    assert_eq!(way(&bench, &many).await, Some(Reason::SourceLimitExceeded));
}

/// A header of sound that claims what no machine has.
#[tokio::test]
async fn absurd_sound() {
    let bench = bench(SandboxLevel::Prefer).await;
    let wav = std::fs::read(bench.ffmpeg("-f lavfi -i sine=d=1 -c:a pcm_s16le", "sound.wav")).unwrap();
    for (name, at, value, reason) in [
        ("channels.wav", 22, &[0xFF, 0xFF][..], Reason::SourceNotMedia),
        ("no_channels.wav", 22, &[0, 0], Reason::SourceNotMedia),
        ("rate.wav", 24, &[0xFF, 0xFF, 0xFF, 0x7F], Reason::SourceDamaged),
        ("no_rate.wav", 24, &[0, 0, 0, 0], Reason::SourceNotMedia),
    ] {
        let bytes = [&wav[..at], value, &wav[at + value.len()..]].concat();
        ends(&bench, name, &bytes, reason).await;
    }
}

#[tokio::test]
async fn next_to_nothing() {
    let bench = bench(SandboxLevel::Prefer).await;
    ends(&bench, "empty.mp4", b"", Reason::SourceEmpty).await;
    let heads: [&[u8]; 6] = [
        b"\0",
        &[0; 12],
        &[0xFF; 64],
        b"ID3",
        b"\x1A\x45\xDF\xA3\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        b"OggS",
    ];
    for (n, head) in heads.into_iter().enumerate() {
        let name = format!("head{n}.mp4");
        ends(&bench, &name, head, Reason::SourceNotMedia).await;
    }
    ends(&bench, "zeros.mp4", &vec![0; 4 << 20], Reason::SourceNotMedia).await;
    ends(
        &bench,
        "ftyp.mp4",
        &boxed(b"ftyp", b"isom\0\0\0\0isom"),
        Reason::SourceTruncated,
    )
    .await;
}
