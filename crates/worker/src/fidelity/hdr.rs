//! High dynamic range: kept in a rung of its own, and turned into what every screen shows in the others.

use std::path::Path;

use reelway_domain::Ladder;
use reelway_media::MASTER_PLAYLIST;

use super::{
    check::{Outcome, ladder, through},
    opinion,
    player::{Track, read_text},
    run,
};
use crate::testing::Bench;

/// What middle grey is with a gamma of 2.4, in 8 bits: (26/203)^(1/2.4) of the way from 16 to 235.
const MIDDLE_GREY: u8 = 109;
/// How far the grey of a frame may be from that: half of a step that an eye sees.
const GREY_ERROR_MAX: u8 = 5;
/// The same for the code of the rung that keeps the range, of 1023.
const CODE_ERROR_MAX: u16 = 6;
const SIDE: usize = 128;
/// The screen that the film was graded on, with its brightest points.
const SCREEN: &str =
    ":hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400";

/// A job over a grey whose luma in 10 bits is `code`.
async fn made(transfer: &str, code: u16, more: &str) -> Outcome {
    let bench = Bench::new().await;
    let grey = format!("color=black:s={SIDE}x{SIDE}:r=10:d=9,format=yuv420p10le,geq=lum={code}:cb=512:cr=512");
    let params = format!("log-level=error:qp=4:keyint=20{more}");
    let colours = [
        "-color_trc",
        transfer,
        "-colorspace",
        "bt2020nc",
        "-color_primaries",
        "bt2020",
    ];
    let codec = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        &params,
        "-tag:v",
        "hvc1",
    ];
    let input = ["-nostdin", "-v", "error", "-f", "lavfi", "-i", &grey];
    run(
        "ffmpeg",
        bench.dir.path(),
        &[&input[..], &codec, &colours, &["grey.mp4"]].concat(),
    );
    let source = bench.dir.path().join("grey.mp4");
    let hdr = Ladder {
        hdr_rung: true,
        ..ladder(&[128, 72])
    };
    through(bench, source, hdr).await
}

/// Middle greys: 26 cd/m² in perceptual quantization, and 38 % of hybrid log-gamma (ITU-R BT.2408, table 1).
#[tokio::test(flavor = "multi_thread")]
async fn grey_stays_grey() {
    for (transfer, range, code, more) in [("smpte2084", "PQ", 393, SCREEN), ("arib-std-b67", "HLG", 397, "")] {
        let outcome = made(transfer, code, more).await;
        assert_eq!(outcome.played.complaints(), "", "{range}");
        let text = read_text(&outcome.played.dir, MASTER_PLAYLIST);
        let of_range = |range: &str| {
            text.lines()
                .filter(|line| line.contains(&format!("VIDEO-RANGE={range}")))
                .count()
        };
        // Each with its I-frame playlist.
        assert_eq!((of_range(range), of_range("SDR")), (2, 4), "{text}");
        let (kept, mapped): (Vec<&Track>, Vec<&Track>) =
            outcome.played.videos.iter().partition(|video| video.codec == "hvc1.");
        assert_eq!((kept.len(), mapped.len()), (1, 2), "{text}");
        is_kept(kept[0], transfer, code);
        for video in mapped {
            is_mapped(video);
        }
        opinion::asked(&outcome.played);
    }
}

fn is_kept(video: &Track, transfer: &str, code: u16) {
    let told = first_frame(&video.file);
    for word in [transfer, "bt2020nc", "\"bt2020\"", "yuv420p10le"] {
        assert!(told.contains(word), "{word} in {told}");
    }
    let has_screen = transfer == "smpte2084";
    for word in [
        "Mastering display metadata",
        "\"max_content\": 1000",
        "\"max_average\": 400",
    ] {
        assert_eq!(told.contains(word), has_screen, "{word} in {told}");
    }
    let codes = middles(video, 10);
    assert_eq!(codes.len(), 90);
    assert!(
        codes.iter().all(|is| is.abs_diff(code) <= CODE_ERROR_MAX),
        "{codes:?}, not {code}"
    );
}

fn is_mapped(video: &Track) {
    let told = first_frame(&video.file);
    assert!(told.contains("bt709") && !told.contains("bt2020"), "{told}");
    let greys = middles(video, 8);
    assert_eq!(greys.len(), 90);
    let near = |grey: &u16| grey.abs_diff(MIDDLE_GREY.into()) <= GREY_ERROR_MAX.into();
    assert!(greys.iter().all(near), "{greys:?}, not {MIDDLE_GREY}");
}

/// What ffprobe says of the first frame.
fn first_frame(file: &Path) -> String {
    let words = ["-v", "error", "-of", "json", "-read_intervals", "%+#1", "-show_frames"];
    let output = run(
        "ffprobe",
        file.parent().unwrap(),
        &[&words[..], &[file.to_str().unwrap()]].concat(),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The luma of the middle of each picture, with 8 bits or more.
fn middles(video: &Track, bits: u32) -> Vec<u16> {
    let grey = if bits == 8 { "gray" } else { "gray10le" };
    let filter = format!("extractplanes=y,crop=1:1:iw/2:ih/2,format={grey}");
    let words = [
        "-nostdin",
        "-v",
        "error",
        "-i",
        video.file.to_str().unwrap(),
        "-vf",
        &filter,
    ];
    let output = ["-fps_mode", "passthrough", "-f", "rawvideo", "-"];
    let pixels = run("ffmpeg", video.file.parent().unwrap(), &[&words[..], &output].concat()).stdout;
    if bits == 8 {
        pixels.into_iter().map(u16::from).collect()
    } else {
        pixels
            .chunks_exact(2)
            .map(|pixel| u16::from_le_bytes([pixel[0], pixel[1]]))
            .collect()
    }
}
