use std::{
    path::{Path, PathBuf},
    process::Command,
};

use reelway_domain::{EncoderSpeed, Rung};

use super::*;
use crate::{
    ChunkJob, Error, Plan, VideoPlan,
    fmp4::{RecutTrack, recut_video},
    testbench::{Bench, one_rung},
};

/// Pictures of one grey each, so that a frame can be recognised by its brightness; neighbours differ by a lot.
const GREYS: &str =
    "-f lavfi -i color=black:s=64x64:r=30:d=10,format=yuv420p,geq=lum='20+mod(N*37\\,200)':cb=128:cr=128";
const H264: &str = "-c:v libx264 -preset veryfast -crf 12";
/// How much of a grey may be lost by encoding twice.
const GREY_ERROR_MAX: u8 = 6;

/// The brightness of each frame of a file.
fn greys(file: &Path) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    command.args([
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-vf",
        "scale=1:1:flags=area,format=gray",
    ]);
    let output = command.args(["-f", "rawvideo", "-"]).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Encodes and recuts a chunk and holds it against the plan.
async fn chunk(bench: &Bench, source: &Path, video: &VideoPlan, index: usize, attempt: i32) -> (Vec<u8>, RecutTrack) {
    let scratch = bench.scratch();
    let work = bench.workspace(source, &scratch);
    let output = encode_chunk(&work, video, &ChunkJob::new(index, attempt), |_| {})
        .await
        .unwrap();
    let plan = &video.chunks[index];
    assert_eq!(output.frames, plan.frames(), "chunk {index}");
    let track = recut_video(&output.pieces[0], &plan.segments, &scratch, |n| format!("{n}.m4s")).unwrap();
    let found: Vec<_> = track
        .segments
        .iter()
        .map(|s| (s.number, s.start, s.duration, s.frames))
        .collect();
    let planned: Vec<_> = plan
        .segments
        .iter()
        .map(|s| (s.number, s.start_ticks, s.duration_ticks, s.frames))
        .collect();
    assert_eq!(found, planned, "chunk {index}");
    let pieces = track
        .segments
        .iter()
        .flat_map(|s| std::fs::read(scratch.join(&s.file_name)).unwrap())
        .collect();
    (pieces, track)
}

/// Plans a source, encodes all its chunks and checks that every frame of the source is there, once and in order.
async fn exact(bench: &Bench, source: &Path) -> Plan {
    let (plan, read) = bench.plan(source, &one_rung()).await.unwrap();
    let video = plan.video.as_ref().unwrap();
    let (mut whole, mut init) = (Vec::new(), None);
    for index in 0..video.chunks.len() {
        let (pieces, track) = chunk(bench, &read, video, index, 1).await;
        assert_eq!(
            *init.get_or_insert(track.init.clone()),
            track.init,
            "one init section for all chunks"
        );
        if whole.is_empty() {
            whole = track.init;
        }
        whole.extend(pieces);
    }
    let (expected, found) = (greys(source), greys(&bench.file("whole.mp4", &whole)));
    assert_eq!(found.len(), expected.len(), "frames of {}", source.display());
    let error = expected
        .iter()
        .zip(&found)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0);
    assert!(
        error <= GREY_ERROR_MAX,
        "a frame is another one: {expected:?} became {found:?}"
    );
    assert_eq!(plan.source.frames, i64::try_from(expected.len()).unwrap());
    plan
}

async fn exact_of(words: &str, name: &str) -> Plan {
    let bench = Bench::new().await;
    let source = bench.ffmpeg(words, name);
    exact(&bench, &source).await
}

#[tokio::test]
async fn constant_rate_with_b_frames() {
    let plan = exact_of(&format!("{GREYS} {H264} -bf 3 -g 75 -sc_threshold 0"), "clip.mp4").await;
    let video = plan.video.unwrap();
    assert_eq!(
        video.chunks.iter().map(crate::ChunkPlan::frames).collect::<Vec<_>>(),
        // The keyframes are at 2.5 s, 5 s and 7.5 s.
        [120, 105, 75]
    );
    assert_eq!(
        (plan.source.duration_ms, video.frame_rate_max, plan.reads_mezzanine),
        (10_000, 30, false)
    );
}

#[tokio::test]
async fn ntsc_rate_and_one_keyframe_in_all() {
    let plan = exact_of(
        &format!("{GREYS},settb=1001/30000,setpts=N {H264} -bf 3 -g 1000 -sc_threshold 0"),
        "clip.mp4",
    )
    .await;
    let video = plan.video.unwrap();
    assert!(
        video.chunks[1..].iter().all(|c| c.seek_pts == Some(video.base_pts)),
        "{video:?}"
    );
}

#[tokio::test]
async fn variable_rate_with_a_gap_longer_than_a_segment() {
    let frames = "select='(lt(t\\,2)+gt(t\\,7.3))*mod(floor(n*n/3)\\,4)'";
    for name in ["clip.mp4", "clip.mkv"] {
        let plan = exact_of(
            &format!("{GREYS},{frames} {H264} -bf 3 -g 40 -fps_mode passthrough"),
            name,
        )
        .await;
        assert_eq!(
            plan.video
                .unwrap()
                .chunks
                .iter()
                .flat_map(|c| c.segments.clone())
                .count(),
            3,
            "{name}"
        );
    }
}

#[tokio::test]
async fn open_gops_in_matroska() {
    exact_of(
        &format!("{GREYS} {H264} -bf 3 -x264-params open-gop=1:keyint=50:scenecut=0"),
        "clip.mkv",
    )
    .await;
}

#[tokio::test]
async fn start_times_other_than_zero() {
    for name in ["clip.mp4", "clip.mkv"] {
        let plan = exact_of(&format!("{GREYS} {H264} -bf 2 -g 60 -output_ts_offset 7.31"), name).await;
        assert!(plan.video.unwrap().base_pts > 0, "{name}");
    }
}

#[tokio::test]
async fn transport_streams_are_read_from_an_indexed_copy() {
    let words = format!("{GREYS} -f lavfi -i sine=d=10 {H264} -bf 3 -g 100 -c:a aac");
    let plan = exact_of(&words, "clip.ts").await;
    assert!(plan.reads_mezzanine);
    assert_eq!(plan.source.container, "mpegts");
    assert!(!plan.audios.is_empty());
}

#[tokio::test]
async fn edit_lists_that_begin_within_a_gop() {
    let bench = Bench::new().await;
    bench.ffmpeg(&format!("{GREYS} {H264} -bf 3 -g 120"), "whole.mp4");
    let edited = bench.ffmpeg("-ss 2.2 -i whole.mp4 -c copy", "edited.mp4");
    let plan = exact(&bench, &edited).await;
    assert!(plan.source.frames < 300);
}

#[tokio::test]
async fn one_frame_and_two() {
    for count in [1, 2] {
        let plan = exact_of(&format!("{GREYS} {H264} -frames:v {count}"), "clip.mp4").await;
        assert_eq!(plan.source.frames, count);
    }
}

#[tokio::test]
async fn other_containers_and_codecs() {
    let cases = [
        ("-c:v mpeg4 -bf 2 -q:v 2 -g 50", "clip.avi", true),
        ("-c:v flv -q:v 2 -g 50", "clip.flv", true),
        (
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -g 50",
            "clip.webm",
            false,
        ),
        (
            "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -auto-alt-ref 0 -g 50",
            "vp8.webm",
            false,
        ),
        (
            "-c:v mpeg2video -q:v 2 -bf 2 -g 12 -sc_threshold 1000000000",
            "clip.mpg",
            true,
        ),
        (
            "-c:v libx264 -preset veryfast -movflags +frag_keyframe+empty_moov -g 50",
            "fragments.mp4",
            false,
        ),
    ];
    for (codec, name, copied) in cases {
        let plan = exact_of(&format!("{GREYS} {codec}"), name).await;
        assert_eq!(plan.reads_mezzanine, copied, "{name}");
    }
}

#[tokio::test]
async fn vp8_packets_that_are_not_shown_are_no_frames() {
    let bench = Bench::new().await;
    let codec = "-c:v libvpx -b:v 1M -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 5 -f webm";
    bench.ffmpeg(&format!("{GREYS} {codec} -pass 1"), "/dev/null");
    let source = bench.ffmpeg(&format!("{GREYS} {codec} -pass 2"), "clip.webm");
    assert_eq!(exact(&bench, &source).await.source.frames, 300);
}

#[tokio::test]
async fn later_attempts_give_the_same_bytes() {
    let bench = Bench::new().await;
    let source = bench.ffmpeg(&format!("{GREYS} {H264} -bf 3 -g 30"), "clip.mp4");
    let (plan, _) = bench.plan(&source, &one_rung()).await.unwrap();
    let video = plan.video.unwrap();
    let (first, _) = chunk(&bench, &source, &video, 2, 1).await;
    for attempt in [1, 2, 4] {
        assert!(
            chunk(&bench, &source, &video, 2, attempt).await.0 == first,
            "attempt {attempt}"
        );
    }
}

#[tokio::test]
async fn all_rungs_come_from_one_run_and_have_their_sizes() {
    let bench = Bench::new().await;
    let words = format!("-f lavfi -i testsrc2=s=240x160:r=25:d=1 -metadata:s:v rotate=90 {H264}");
    bench.ffmpeg(&words, "lying.mp4");
    let source = bench.ffmpeg("-i lying.mp4 -c copy -metadata:s:v rotate=90", "clip.mp4");
    let rung = |short_side| Rung {
        short_side,
        bitrate_max: 300_000,
    };
    let ladder = reelway_domain::Ladder {
        rungs: vec![rung(160), rung(90), rung(48)],
        speed: EncoderSpeed::Fast,
        crf: 28,
        missing_percent_max: 0.0,
        codec: reelway_domain::VideoCodec::H264,
        hdr_rung: false,
        download: false,
    };
    let (plan, _) = bench.plan(&source, &ladder).await.unwrap();
    let (video, scratch) = (plan.video.unwrap(), bench.scratch());
    let mut samples = Vec::new();
    let work = bench.workspace(&source, &scratch);
    let output = encode_chunk(&work, &video, &ChunkJob::new(0, 1), |sample| samples.push(sample))
        .await
        .unwrap();
    let sizes: Vec<(u32, u32)> = output
        .pieces
        .iter()
        .map(|piece| size_of(piece, &video, &scratch))
        .collect();
    assert_eq!(sizes, [(160, 240), (90, 136), (48, 72)]);
    let last = samples.last().unwrap();
    assert_eq!((last.frames, last.done_ms), (25, 1000));
}

fn size_of(piece: &Path, video: &VideoPlan, scratch: &Path) -> (u32, u32) {
    let name = |n| format!("{}_{n}.m4s", piece.file_stem().unwrap().display());
    let track = recut_video(piece, &video.chunks[0].segments, scratch, name).unwrap();
    (track.width, track.height)
}

#[tokio::test]
async fn odd_sizes_and_interlaced_pictures() {
    let bench = Bench::new().await;
    let odd = bench.ffmpeg(
        "-f lavfi -i testsrc=s=161x121:r=10:d=1 -c:v libx264 -pix_fmt yuv444p",
        "odd.mp4",
    );
    let fields = bench.ffmpeg(
        "-f lavfi -i testsrc2=s=176x144:r=50:d=1 -vf interlace,setfield=tff -c:v libx264 -x264-params interlaced=1:tff=1",
        "fields.mkv",
    );
    for (source, size) in [(odd, (162, 122)), (fields, (176, 144))] {
        let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
        let video = plan.video.unwrap();
        assert_eq!(video.deinterlace, source.ends_with("fields.mkv"));
        let (_, track) = chunk(&bench, &read, &video, 0, 1).await;
        assert_eq!((track.width, track.height), size);
    }
}

#[tokio::test]
async fn high_dynamic_range_becomes_what_every_screen_shows() {
    let bench = Bench::new().await;
    let tags = "-pix_fmt yuv420p10le -color_trc smpte2084 -colorspace bt2020nc -color_primaries bt2020";
    let source = bench.clip("10", 1.0, &format!("{H264} {tags}"), "hdr.mp4");
    let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
    let (video, scratch) = (plan.video.unwrap(), bench.scratch());
    assert_eq!(video.tone_map, bench.tools.tone_maps());
    let output = encode_chunk(&bench.workspace(&read, &scratch), &video, &ChunkJob::new(0, 1), |_| {})
        .await
        .unwrap();
    let probe = bench.probe(&output.pieces[0]).await.unwrap().video.unwrap();
    assert_eq!(output.frames, 10);
    assert!(!probe.colour.is_hdr());
    assert_eq!(probe.colour.matrix, "bt709");
}

#[tokio::test]
async fn damage_in_the_middle_costs_frames_and_no_more() {
    let bench = Bench::new().await;
    let source = bench.clip("25", 4.0, &format!("{H264} -g 25"), "clip.mp4");
    let mut bytes = std::fs::read(&source).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0xA5);
    let damaged = bench.file("damaged.mp4", &bytes);
    let (plan, read) = bench.plan(&damaged, &one_rung()).await.unwrap();
    let (video, scratch) = (plan.video.unwrap(), bench.scratch());
    let output = encode_chunk(&bench.workspace(&read, &scratch), &video, &ChunkJob::new(0, 1), |_| {})
        .await
        .unwrap();
    assert!((75..=100).contains(&output.frames), "{}", output.frames);
}

#[tokio::test]
async fn posters_are_jpegs_of_the_right_size() {
    let bench = Bench::new().await;
    let long = bench.clip("30", 3.0, H264, "long.mp4");
    let one = bench.ffmpeg(&format!("-f lavfi -i testsrc2=s=320x180 {H264} -frames:v 1"), "one.mp4");
    for source in [long, one] {
        let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
        let scratch = bench.scratch();
        let poster = take_poster(&bench.workspace(&read, &scratch), &plan.video.unwrap())
            .await
            .unwrap();
        let bytes = std::fs::read(&poster).unwrap();
        assert!(bytes.starts_with(&[0xFF, 0xD8]) && bytes.ends_with(&[0xFF, 0xD9]));
        assert_eq!(greys(&poster).len(), 1);
    }
}

#[tokio::test]
async fn cancelling_an_encode_ends_it() {
    let bench = Bench::new().await;
    let source = bench.clip("30", 4.0, H264, "clip.mp4");
    let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
    let scratch = bench.scratch();
    let work = bench.workspace(&read, &scratch);
    let video = plan.video.unwrap();
    bench.cancel.cancel();
    assert!(matches!(
        encode_chunk(&work, &video, &ChunkJob::new(0, 1), |_| {}).await,
        Err(Error::Cancelled)
    ));
}

#[tokio::test]
async fn a_chunk_that_is_not_planned_is_an_error() {
    let bench = Bench::new().await;
    let source: PathBuf = bench.clip("10", 1.0, H264, "clip.mp4");
    let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
    let scratch = bench.scratch();
    let result = encode_chunk(
        &bench.workspace(&read, &scratch),
        &plan.video.unwrap(),
        &ChunkJob::new(5, 1),
        |_| {},
    )
    .await;
    assert_eq!(crate::testbench::reason(result), reelway_domain::Reason::Internal);
}
