use reelway_domain::VideoCodec;

use super::*;
use crate::testbench::Bench;

fn rung(width: u32, height: u32) -> RungSize {
    RungSize {
        name: "240p".into(),
        width,
        height,
        bitrate_max: 400_000,
        codec: VideoCodec::H264,
        hdr: false,
    }
}

#[test]
fn the_number_of_pictures_is_bounded() {
    for (seconds, interval_ms, count) in [(0, 1000, 1), (5, 1000, 5), (200, 1000, 200), (7200, 37_000, 195)] {
        let board = Storyboard::new(seconds * 1000, &rung(426, 240));
        assert_eq!((board.interval_ms, board.count), (interval_ms, count));
    }
    assert!(Storyboard::new(i64::MAX / 2, &rung(426, 240)).count <= PICTURES_MAX);
}

#[test]
fn pictures_keep_their_shape() {
    let sizes = [(426, 240), (240, 426), (16, 16), (1000, 2)].map(|(w, h)| {
        let board = Storyboard::new(1, &rung(w, h));
        (board.width, board.height)
    });
    assert_eq!(sizes, [(160, 90), (90, 160), (16, 16), (160, 2)]);
}

#[test]
fn where_pictures_are_taken() {
    let board = Storyboard::new(3_200, &rung(426, 240));
    assert!(board.looks_between(0, 501) && !board.looks_between(501, 1500) && board.looks_between(501, 1501));
    assert!(
        board.looks_between(3_100, 3_200),
        "the last picture shows the last frame"
    );
}

#[test]
fn the_text_says_where_each_picture_lies() {
    let board = Storyboard::new(101_500, &rung(426, 240));
    let text = board.vtt(&["c/a.jpg".into(), "c/b.jpg".into()]);
    assert!(text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nc/a.jpg#xywh=0,0,160,90\n"));
    assert!(text.contains("\n00:01:39.000 --> 00:01:40.000\nc/a.jpg#xywh=1440,810,160,90\n"));
    assert!(text.ends_with("\n00:01:41.000 --> 00:01:41.500\nc/b.jpg#xywh=160,0,160,90\n"));
}

/// Each picture shows the frame of the middle of its time, also where nothing was read before it.
#[tokio::test]
async fn each_picture_is_from_its_time() {
    let bench = Bench::new().await;
    let grey = "-f lavfi -i color=black:s=64x64:r=10:d=12,format=yuv420p,geq=lum='20+15*floor(N/10)':cb=128:cr=128";
    let file = bench.ffmpeg(&format!("{grey} -c:v libx264 -bf 3 -crf 10"), "clip.mp4");
    let board = Storyboard::new(14_000, &rung(64, 64));
    let scratch = bench.scratch();
    // What was read begins with second 2.
    let sheets = draw_storyboard(&bench.workspace(&file, &scratch), &board, 2000)
        .await
        .unwrap();
    assert_eq!(sheets.len(), 1);
    for (n, grey) in greys(&sheets[0], (10, 2)).iter().enumerate().take(14) {
        // Full range: 16 is black and 235 is white.
        let second = i32::try_from(n).unwrap().saturating_sub(2).max(0);
        let expected = (20 + 15 * second - 16) * 255 / 219;
        assert!(
            (i32::from(*grey) - expected).abs() < 8,
            "picture {n}: {grey}, not {expected}"
        );
    }
}

/// Of a long video only keyframes are decoded, and one of them lies near enough to the middle of each picture's time.
#[tokio::test]
async fn pictures_far_apart_are_the_keyframes_near_their_time() {
    let bench = Bench::new().await;
    // As our segments are: a keyframe every 4 s. Those frames are grey, all others are white.
    let grey = "if(mod(N\\,4)\\,235\\,20+8*N/4)";
    let picture = format!("-f lavfi -i color=black:s=64x64:r=1:d=96,format=yuv420p,geq=lum='{grey}':cb=128:cr=128");
    let codec = "-c:v libx264 -crf 5 -g 4 -keyint_min 4 -sc_threshold 0 -bf 0";
    let file = bench.ffmpeg(&format!("{picture} {codec}"), "clip.mp4");
    let board = Storyboard {
        duration_ms: 96_000,
        interval_ms: KEYFRAMES_INTERVAL_MS_MIN,
        count: 12,
        width: 64,
        height: 64,
    };
    let scratch = bench.scratch();
    let sheets = draw_storyboard(&bench.workspace(&file, &scratch), &board, 0)
        .await
        .unwrap();
    assert_eq!(sheets.len(), 1);
    for (n, grey) in greys(&sheets[0], (10, 2)).iter().enumerate().take(12) {
        // The middle of picture n is at 8 n + 4 s: that of keyframe 2 n + 1.
        let expected = (20 + 8 * (2 * i32::try_from(n).unwrap() + 1) - 16) * 255 / 219;
        assert!(
            (i32::from(*grey) - expected).abs() < 8,
            "picture {n}: {grey}, not {expected}"
        );
    }
}

/// The mean grey of each picture of a sheet.
fn greys(sheet: &std::path::Path, (columns, rows): (u32, u32)) -> Vec<u8> {
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(sheet);
    let filters = format!("scale={columns}:{rows}:flags=area,format=gray");
    let output = command.args(["-vf", &filters, "-f", "rawvideo", "-"]).output().unwrap();
    output.stdout
}
