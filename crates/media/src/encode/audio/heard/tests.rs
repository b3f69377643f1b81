use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    super::{
        AudioReading, encode_audio,
        tests::{in_runs, source},
    },
    *,
};
use crate::{
    fmp4::recut_audio,
    testbench::{Bench, one_rung},
};

/// How much of a source of 27 s is destroyed or left out, in seconds. It begins in one run of 3 s and ends in another.
const DAMAGE: Range<f64> = 10.4..17.3;
/// How far off the sum over all runs may be, in milliseconds: a packet at either end, and a decoder that has to find its feet again.
const ERROR_MS_MAX: i64 = 150;
/// What is at the place of a packet: in Matroska, this many bytes stand before it that say whose it is and when it is heard.
const BLOCK_HEADER_BYTES: usize = 4;
const GARBAGE: u8 = 0x55;

/// What all runs of a source have.
struct Judged {
    undecoded_ms: i64,
    /// For how many runs the packets had to be listed.
    looked: usize,
}

/// Encodes a source's sound in runs of so many frames, and judges each of them.
async fn judged(bench: &Bench, source: &Path, frames: i64) -> Judged {
    let (plan, read) = bench.plan(source, &one_rung()).await.unwrap();
    let audio = in_runs(&plan.audios[0], frames);
    let mut judged = Judged {
        undecoded_ms: 0,
        looked: 0,
    };
    for (n, run) in audio.runs.iter().enumerate() {
        let scratch = bench.scratch();
        let work = bench.workspace(&read, &scratch);
        let encoded = encode_audio(&work, &audio, n, AudioReading::Planned, |_| {})
            .await
            .unwrap();
        let track = recut_audio(&encoded.file, run, [0], &scratch, |n| format!("{n}.m4s")).unwrap();
        let time = frames_to_us(run.start_frame)..frames_to_us(run.start_frame + track.frames);
        judged.looked += usize::from(encoded.heard.has_holes(&time));
        let undecoded_ms = undecoded_ms(&work, &audio, run, &encoded.heard, track.frames).await;
        judged.undecoded_ms += undecoded_ms.unwrap();
    }
    judged
}

/// Writes garbage over the sound of a time.
fn destroyed(bench: &Bench, source: &Path, name: &str) -> PathBuf {
    let entries = "packet=pts_time,size,pos";
    let listed = Command::new("ffprobe")
        .args(["-v", "error", "-fflags", "+noparse", "-select_streams", "a:0"])
        .args(["-of", "csv=p=0", "-show_entries", entries])
        .arg(source)
        .output()
        .unwrap();
    let mut bytes = std::fs::read(source).unwrap();
    let header = if name.ends_with(".mkv") { BLOCK_HEADER_BYTES } else { 0 };
    for line in String::from_utf8(listed.stdout).unwrap().lines() {
        let mut fields = line.split(',');
        let at: f64 = fields.next().unwrap().parse().unwrap_or(-1.0);
        if DAMAGE.contains(&at) {
            let [size, place] = [(); 2].map(|()| fields.next().unwrap().parse::<usize>().unwrap());
            bytes[place + header..place + header + size].fill(GARBAGE);
        }
    }
    bench.file(name, &bytes)
}

#[tokio::test]
async fn sound_that_can_not_be_decoded_is_counted() {
    let damaged_ms = ((DAMAGE.end - DAMAGE.start) * 1000.0).round();
    for (format, options, name) in [
        ((44_100, "stereo"), "-c:a aac -b:a 256k", "aac.mp4"),
        ((44_100, "stereo"), "-c:a libmp3lame -b:a 128k", "mp3.mp4"),
        ((48_000, "stereo"), "-c:a ac3 -b:a 448k", "ac3.mov"),
        ((48_000, "stereo"), "-c:a aac -b:a 256k", "aac.mkv"),
        ((44_100, "stereo"), "-c:a libmp3lame -b:a 128k", "mp3.mkv"),
        ((44_100, "stereo"), "-c:a libvorbis -q:a 8", "vorbis.mkv"),
        ((44_100, "mono"), "-c:a flac", "flac.mkv"),
    ] {
        let bench = Bench::new().await;
        let whole = source(&bench, 27, format, options, name);
        let judged = judged(&bench, &destroyed(&bench, &whole, &format!("damaged-{name}")), 141).await;
        #[expect(clippy::cast_possible_truncation, reason = "it is a few seconds")]
        let error_ms = judged.undecoded_ms - damaged_ms as i64;
        assert!(error_ms.abs() <= ERROR_MS_MAX, "{name}: {} ms", judged.undecoded_ms);
        assert!((2..=5).contains(&judged.looked), "{name}: {} runs", judged.looked);
    }
}

#[tokio::test]
async fn a_gap_of_the_source_is_none_of_the_decoder() {
    let (start, end) = (DAMAGE.start, DAMAGE.end);
    for (codec, name) in [
        ("aac", "aac.mp4"),
        ("libmp3lame", "mp3.mp4"),
        ("ac3", "ac3.mkv"),
        ("libopus", "opus.mkv"),
    ] {
        let bench = Bench::new().await;
        let gap = format!("-af aselect='not(between(t\\,{start}\\,{end}))' -c:a {codec}");
        let judged = judged(&bench, &source(&bench, 27, (48_000, "mono"), &gap, name), 141).await;
        assert_eq!(judged.undecoded_ms, 0, "{name}");
        assert!(judged.looked > 0, "{name}: there is a hole");
    }
}

#[tokio::test]
async fn whole_sound_is_not_even_suspected() {
    let bench = Bench::new().await;
    for (format, options, name) in [
        ((44_100, "stereo"), "-c:a aac -b:a 256k", "aac.mp4"),
        ((8_000, "mono"), "-c:a aac", "slow.mp4"),
        ((48_000, "stereo"), "-c:a ac3", "ac3.mp4"),
        ((44_100, "stereo"), "-c:a libmp3lame", "mp3.mp4"),
        ((44_100, "stereo"), "-c:a aac", "aac.mkv"),
        ((48_000, "mono"), "-c:a libopus", "opus.mkv"),
        ((48_000, "mono"), "-c:a libopus -frame_duration 60", "long.webm"),
        ((48_000, "mono"), "-c:a libopus -frame_duration 2.5", "short.mkv"),
        ((44_100, "stereo"), "-c:a libmp3lame", "mp3.mkv"),
        ((44_100, "stereo"), "-c:a libvorbis", "vorbis.mkv"),
        ((44_100, "stereo"), "-c:a flac", "flac.mkv"),
        ((48_000, "stereo"), "-c:a pcm_s16le", "pcm.mov"),
        ((44_100, "stereo"), "-c:a pcm_s16le", "pcm.mkv"),
        ((44_100, "stereo"), "-c:a libmp3lame", "mp3.avi"),
        ((44_100, "stereo"), "-c:a aac", "aac.flv"),
        ((48_000, "stereo"), "-c:a aac", "aac.ts"),
    ] {
        let options = if name.ends_with(".webm") {
            format!("-c:v libvpx -deadline realtime {options}")
        } else {
            options.to_owned()
        };
        let source = source(&bench, 9, format, &options, name);
        let judged = judged(&bench, &source, 141).await;
        assert_eq!((judged.undecoded_ms, judged.looked), (0, 0), "{name}");
    }
}

#[tokio::test]
async fn sound_that_is_cut_by_its_container_is_whole() {
    let bench = Bench::new().await;
    let options = "-c:a aac -b:a 256k";
    source(&bench, 12, (44_100, "stereo"), options, "whole.mp4");
    for (copied, name) in [
        ("-ss 2.2 -i whole.mp4 -c copy", "edited.mp4"),
        (
            "-i whole.mp4 -itsoffset 7.25 -i whole.mp4 -map 0:v -map 1:a -c copy",
            "late.mp4",
        ),
        (
            "-itsoffset 2 -i whole.mp4 -i whole.mp4 -map 0:v -map 1:a -c copy",
            "early.mkv",
        ),
        ("-i whole.mp4 -vn -c copy", "alone.mka"),
        ("-i whole.mp4 -vn -c copy", "alone.aac"),
        ("-i whole.mp4 -vn -c:a libmp3lame", "alone.mp3"),
        ("-i whole.mp4 -vn -c:a libopus", "alone.ogg"),
        ("-i whole.mp4 -vn -c:a flac", "alone.flac"),
    ] {
        let judged = judged(&bench, &bench.ffmpeg(copied, name), 141).await;
        assert_eq!(judged.undecoded_ms, 0, "{name}");
    }
}

/// What was heard, of frames from one time to another, in milliseconds.
fn of_frames(frames: &[(i64, i64)]) -> Heard {
    let mut heard = Heard {
        sample_rate: 1000,
        seek_us: None,
        begun: None,
        spans: Vec::new(),
        longest_us: 0,
    };
    for (n, (start, end)) in frames.iter().enumerate() {
        heard.line(&format!("frame:{n:<4} pts:{start:<7} pts_time:0.1"));
        heard.line("heard=1");
        heard.line("out_time_us=12");
        heard.line(&format!("frame:{n:<4} pts:{end:<7} pts_time:0.1"));
        heard.line("heard=1");
    }
    heard
}

fn of_packets(packets: &[&str]) -> Packets {
    let mut listed = Packets::default();
    for packet in packets {
        listed.add(packet, 0, &(0..1_000_000));
    }
    listed
}

#[test]
fn a_packet_counts_by_its_own_sound_and_once() {
    let heard = of_frames(&[(0, 100), (100, 200), (400, 500), (450, 550)]);
    let second = 0..1_000_000;
    assert!(heard.has_holes(&second));
    assert!(!heard.has_holes(&(0..220_000)), "a little is missing at each end");
    let packets = of_packets(&[
        "pts_time=0.000000|duration_time=0.100000|flags=K_",
        "pts_time=0.100000|duration_time=0.100000|flags=K_",
        // It is long because a gap follows, and nobody knows how much of it is sound.
        "pts_time=0.200000|duration_time=0.200000|flags=K_",
        "pts_time=0.400000|duration_time=N/A|flags=K_",
        "pts_time=0.600000|duration_time=0.100000|flags=KD",
        "pts_time=0.700000|duration_time=0.050000|flags=K_",
        "pts_time=0.700000|duration_time=0.050000|flags=K_",
        "pts_time=N/A|duration_time=0.050000|flags=K_",
        "",
    ]);
    assert_eq!(heard.undecoded_us(packets, &second), 150_000);
}

#[test]
fn a_decoder_may_settle_at_the_start_of_a_track_but_not_for_ever() {
    let heard = of_frames(&[(600, 620)]);
    let lines: Vec<String> = (0..40)
        .map(|n| format!("pts_time=0.{:06}|duration_time=0.020000|flags=K_", n * 20_000))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    // From the end of settling to the frame that was heard, and from there on.
    let expected = 600_000 - SETTLE_US + 180_000;
    assert_eq!(heard.undecoded_us(of_packets(&lines), &(0..1_000_000)), expected);
    assert_eq!(heard.undecoded_us(of_packets(&lines[..8]), &(0..1_000_000)), 0);
}
