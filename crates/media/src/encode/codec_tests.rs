//! HEVC, AV1 and high dynamic range, with the real encoders.

use std::{path::Path, process::Command};

use reelway_domain::{Ladder, Rung, VideoCodec, preset};

use super::*;
use crate::{
    VideoPlan,
    fmp4::{RecutTrack, recut_video},
    testbench::Bench,
};

const H264: &str = "-c:v libx264 -preset ultrafast -crf 10 -bf 2 -g 50";

/// Two small rungs of a codec, as fast as it goes.
fn ladder(codec: VideoCodec) -> Ladder {
    let rung = |short_side| Rung {
        short_side,
        bitrate_max: 600_000,
    };
    Ladder {
        rungs: vec![rung(128), rung(72)],
        codec,
        crf: 30,
        ..preset("fast").unwrap()
    }
}

/// Encodes a chunk and cuts each rung's file as planned.
async fn tracks(bench: &Bench, source: &Path, video: &VideoPlan, job: &ChunkJob) -> Vec<(RecutTrack, Vec<u8>)> {
    let scratch = bench.scratch();
    let output = encode_chunk(&bench.workspace(source, &scratch), video, job, |_| {})
        .await
        .unwrap();
    let chunk = &video.chunks[job.chunk];
    assert_eq!(output.frames, chunk.frames());
    let rungs = job.rungs.of(&video.rungs);
    assert_eq!(output.pieces.len(), rungs.len());
    let mut tracks = Vec::new();
    for (rung, file) in rungs.iter().zip(&output.pieces) {
        let track = recut_video(file, &chunk.segments, &scratch, |n| format!("{}-{n}.m4s", rung.name)).unwrap();
        assert_eq!(
            (track.width, track.height, track.frames),
            (rung.width, rung.height, chunk.frames())
        );
        assert_eq!(
            track.segments.len(),
            chunk.segments.len(),
            "each segment begins with a keyframe"
        );
        let times: Vec<_> = track.segments.iter().map(|s| (s.start, s.duration)).collect();
        let planned: Vec<_> = chunk
            .segments
            .iter()
            .map(|s| (s.start_ticks, s.duration_ticks))
            .collect();
        assert_eq!(times, planned);
        let pieces = track
            .segments
            .iter()
            .flat_map(|s| std::fs::read(scratch.join(&s.file_name)).unwrap());
        let pieces = pieces.collect();
        tracks.push((track, pieces));
    }
    tracks
}

/// All chunks of a clip with a variable frame rate: one init section, every frame, in order.
async fn joins(codec: VideoCodec, expected: &str) {
    let bench = Bench::new().await;
    let greys = "-f lavfi -i color=black:s=228x128:r=15:d=21,format=yuv420p,geq=lum='20+mod(N*37\\,200)':cb=128:cr=128";
    let source = bench.ffmpeg(
        &format!("{greys},select='mod(floor(n*n/3)\\,5)' {H264} -fps_mode passthrough"),
        "clip.mp4",
    );
    let (plan, _) = bench.plan(&source, &ladder(codec)).await.unwrap();
    let video = plan.video.unwrap();
    assert!(video.chunks.iter().any(|chunk| chunk.segments.len() > 1), "{video:?}");
    let mut whole: Vec<u8> = Vec::new();
    let mut inits: Vec<Vec<u8>> = Vec::new();
    for chunk in 0..video.chunks.len() {
        for (place, (track, pieces)) in tracks(&bench, &source, &video, &ChunkJob::new(chunk, 1))
            .await
            .into_iter()
            .enumerate()
        {
            assert!(track.codec.starts_with(expected), "{}", track.codec);
            if inits.len() == place {
                inits.push(track.init.clone());
            }
            assert!(inits[place] == track.init, "one init section for all chunks");
            if place == 0 {
                whole.extend(if whole.is_empty() { track.init } else { Vec::new() });
                whole.extend(pieces);
            }
        }
    }
    let (expected, found) = (brightness(&source), brightness(&bench.file("whole.mp4", &whole)));
    assert_eq!(expected.len(), found.len());
    let worst = expected.iter().zip(&found).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst <= 8, "a frame is another one: {expected:?} became {found:?}");
}

/// The brightness of each frame as it is shown.
fn brightness(file: &Path) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    command.args([
        "-fps_mode",
        "passthrough",
        "-vf",
        "scale=1:1:flags=area,format=gray",
        "-f",
        "rawvideo",
        "-",
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn chunks_of_hevc_join() {
    joins(VideoCodec::Hevc, "hvc1.1.6.L").await;
}

#[tokio::test]
async fn chunks_of_av1_join() {
    joins(VideoCodec::Av1, "av01.0.0").await;
}

#[tokio::test]
async fn the_same_call_gives_the_same_bytes_also_in_parts() {
    let bench = Bench::new().await;
    let source = bench.ffmpeg(&format!("-f lavfi -i testsrc2=s=228x128:r=15:d=2 {H264}"), "clip.mp4");
    for codec in [VideoCodec::Hevc, VideoCodec::Av1] {
        let (plan, _) = bench.plan(&source, &ladder(codec)).await.unwrap();
        let video = plan.video.unwrap();
        let job = |rungs| ChunkJob {
            rungs,
            ..ChunkJob::new(0, 1)
        };
        let whole = tracks(&bench, &source, &video, &job(Rungs::All)).await;
        let mut parts = tracks(&bench, &source, &video, &job(Rungs::AllButSmallest)).await;
        parts.extend(tracks(&bench, &source, &video, &job(Rungs::Smallest)).await);
        assert!(whole == parts, "{codec:?}");
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_refused() {
    let bench = Bench::new().await;
    let source = bench.ffmpeg(&format!("-f lavfi -i testsrc2=s=64x64:r=15:d=1 {H264}"), "clip.mp4");
    let (plan, _) = bench.plan(&source, &preset("fast").unwrap()).await.unwrap();
    let job = ChunkJob {
        rungs: Rungs::AllButSmallest,
        ..ChunkJob::new(0, 1)
    };
    let scratch = bench.scratch();
    let result = encode_chunk(&bench.workspace(&source, &scratch), &plan.video.unwrap(), &job, |_| {}).await;
    assert_eq!(crate::testbench::reason(result), reelway_domain::Reason::Internal);
}

/// What middle grey is with a gamma of 2.4, in 8 bits: (26/203)^(1/2.4) of the way from 16 to 235.
const MIDDLE_GREY: u8 = 109;

/// A clip of 1 s of one grey, whose luma in 10 bits is `code`.
fn hdr_clip(bench: &Bench, transfer: &str, code: u16, more: &str) -> std::path::PathBuf {
    let grey = format!("-f lavfi -i color=black:s=128x128:r=10:d=1,format=yuv420p10le,geq=lum={code}:cb=512:cr=512");
    let colours = format!("-color_trc {transfer} -colorspace bt2020nc -color_primaries bt2020");
    let codec = format!("-c:v libx265 -preset ultrafast -x265-params log-level=error:qp=4{more} -tag:v hvc1");
    bench.ffmpeg(&format!("{grey} {codec} {colours}"), &format!("{transfer}.mp4"))
}

#[tokio::test]
async fn high_dynamic_range_is_kept_in_one_rung_and_mapped_in_the_others() {
    let bench = Bench::new().await;
    let screen = ":hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400";
    // 26 cd/m² in perceptual quantization, and 38 % of hybrid log-gamma: middle greys (ITU-R BT.2408, table 1).
    for (transfer, code, more) in [("smpte2084", 393, screen), ("arib-std-b67", 397, "")] {
        let source = hdr_clip(&bench, transfer, code, more);
        let hdr = Ladder {
            hdr_rung: true,
            ..ladder(VideoCodec::H264)
        };
        let (plan, _) = bench.plan(&source, &hdr).await.unwrap();
        let video = plan.video.unwrap();
        assert_eq!(video.mastering.is_some(), transfer == "smpte2084");
        let names: Vec<&str> = video.rungs.iter().map(|rung| rung.name.as_str()).collect();
        assert_eq!(names, ["128p-hdr", "128p", "72p"]);
        let made = tracks(&bench, &source, &video, &ChunkJob::new(0, 1)).await;
        assert!(made[0].0.codec.starts_with("hvc1.2.4.L"), "{}", made[0].0.codec);
        assert!(made[1].0.codec.starts_with("avc1."), "{}", made[1].0.codec);
        let files: Vec<_> = made
            .iter()
            .enumerate()
            .map(|(place, (track, pieces))| {
                bench.file(&format!("{place}.mp4"), &[&track.init[..], &pieces[..]].concat())
            })
            .collect();
        let kept = shown(&files[0]);
        for words in [transfer, "bt2020nc", "bt2020", "yuv420p10le"] {
            assert!(kept.contains(words), "{words} in {kept}");
        }
        assert_eq!(
            kept.contains("Mastering display metadata"),
            transfer == "smpte2084",
            "{kept}"
        );
        assert_eq!(
            kept.contains("\"max_content\": 1000"),
            transfer == "smpte2084",
            "{kept}"
        );
        assert!(luma10(&files[0]).abs_diff(code) <= 6, "{} of {code}", luma10(&files[0]));
        let mapped = shown(&files[1]);
        assert!(mapped.contains("bt709") && !mapped.contains("bt2020"), "{mapped}");
        if bench.tools.tone_maps() {
            let grey = brightness(&files[1])[5];
            assert!(grey.abs_diff(MIDDLE_GREY) <= 5, "{transfer}: middle grey became {grey}");
        }
    }
}

/// What ffprobe says of the first frame.
fn shown(file: &Path) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json", "-read_intervals", "%+#1", "-show_frames"]);
    String::from_utf8(command.arg(file).output().unwrap().stdout).unwrap()
}

/// The luma of the middle of a picture, in 10 bits.
fn luma10(file: &Path) -> u16 {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    command.args(["-frames:v", "1", "-pix_fmt", "yuv420p10le", "-f", "rawvideo", "-"]);
    let picture = command.output().unwrap().stdout;
    let middle = 64 * 128 + 64;
    u16::from_le_bytes([picture[2 * middle], picture[2 * middle + 1]])
}
