//! How much memory encoding takes, by estimate: so that a machine doesn't begin more at a time than it can hold.

use reelway_domain::{EncoderSpeed, VideoCodec};

use super::Rungs;
use crate::VideoPlan;

/// What a process takes before it holds any picture, in MiB.
const BASE_MIB: u64 = 80;
/// Pictures of the source that the decoder and the filters hold.
const SOURCE_FRAMES: u64 = 24;
/// Bytes of one pixel of the source: 4:2:0, two bytes a sample.
const SOURCE_PIXEL_BYTES: u64 = 3;
/// Tone mapping holds pictures of three floats a pixel.
const TONE_MAP_PIXEL_BYTES: u64 = 12 * 6;
/// What an encoder takes whatever its picture, in MiB.
const ENCODER_MIB: u64 = 40;
/// Bytes that an encoder holds for each pixel of its picture: pictures that it looks ahead at, and what it knows of them.
/// Measured from the peak of resident memory of one thread at 1080p and at 360p, and rounded up.
const H264_PIXEL_BYTES: u64 = 80;
const HEVC_PIXEL_BYTES: u64 = 150;
const AV1_PIXEL_BYTES: u64 = 170;
/// x264 and x265 look further ahead for quality.
const QUALITY_FACTOR: u64 = 2;
/// Two bytes a sample instead of one.
const HDR_FACTOR: u64 = 2;

/// What a task that encodes these rungs takes, in MiB.
#[must_use]
pub fn memory_mib(video: &VideoPlan, rungs: Rungs) -> i64 {
    let largest = video
        .rungs
        .iter()
        .map(|rung| pixels(rung.width, rung.height))
        .max()
        .unwrap_or(0);
    // The source is about as large as the largest rung, or larger by less than one step of the ladder.
    let mut bytes = largest * SOURCE_PIXEL_BYTES * SOURCE_FRAMES;
    if video.tone_map {
        bytes += largest * TONE_MAP_PIXEL_BYTES;
    }
    for rung in rungs.of(&video.rungs) {
        let ahead = if video.speed == EncoderSpeed::Quality {
            QUALITY_FACTOR
        } else {
            1
        };
        let per_pixel = match rung.codec {
            VideoCodec::H264 => H264_PIXEL_BYTES * ahead,
            VideoCodec::Hevc => HEVC_PIXEL_BYTES * ahead,
            VideoCodec::Av1 => AV1_PIXEL_BYTES,
        };
        bytes += pixels(rung.width, rung.height) * per_pixel * if rung.hdr { HDR_FACTOR } else { 1 };
        bytes += ENCODER_MIB << 20;
    }
    i64::try_from(BASE_MIB + bytes.div_ceil(1 << 20)).unwrap_or(i64::MAX)
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

#[cfg(test)]
mod tests {
    use reelway_domain::preset;

    use super::*;
    use crate::testbench::Bench;

    #[tokio::test]
    async fn more_pixels_and_dearer_codecs_take_more() {
        let bench = Bench::new().await;
        let source = bench.ffmpeg(
            "-f lavfi -i testsrc2=s=1280x720:r=5:d=0.4 -c:v libx264 -preset ultrafast",
            "clip.mp4",
        );
        let mut before = 0;
        for name in ["fast", "standard", "quality", "av1"] {
            let (plan, _) = bench.plan(&source, &preset(name).unwrap()).await.unwrap();
            let video = plan.video.unwrap();
            let all = memory_mib(&video, Rungs::All);
            assert!((before..2000).contains(&all), "{name}: {all} MiB");
            before = if video.rungs.len() > 1 { all } else { before };
            let alone = memory_mib(&video, Rungs::Smallest);
            assert!(video.rungs.len() == 1 || alone < all, "{name}: {alone} of {all} MiB");
        }
    }
}
