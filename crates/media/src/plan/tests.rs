use std::time::Duration;

use reelway_domain::Reason;

use super::*;
use crate::{
    Limits,
    testbench::{Bench, one_rung, reason},
};

const H264: &str = "-c:v libx264 -preset ultrafast";

#[tokio::test]
async fn a_plan_counts_everything_and_survives_being_stored() {
    let bench = Bench::new().await;
    let clip = bench.clip("30000/1001", 9.0, &format!("{H264} -g 60 -c:a aac"), "clip.mp4");
    let (plan, _) = bench.plan(&clip, &one_rung()).await.unwrap();
    let video = plan.video.as_ref().unwrap();
    assert_eq!(
        video.chunks.iter().map(ChunkPlan::frames).sum::<i64>(),
        plan.source.frames
    );
    let ticks: i64 = video.chunks.iter().map(ChunkPlan::duration_ticks).sum();
    assert_eq!(ticks, plan.source.frames * 3003);
    assert!((plan.source.frame_rate - 29.97).abs() < 0.01);
    // The first frame at or after 4 s.
    assert_eq!(video.chunks[1].start_ticks(), 120 * 3003);
    assert_eq!(plan.audios[0].base_us, 0);
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
}

#[tokio::test]
async fn audio_is_laid_out_from_the_first_picture_on() {
    let bench = Bench::new().await;
    bench.clip("25", 3.0, H264, "picture.mkv");
    bench.ffmpeg("-f lavfi -i sine=d=5 -ac 2 -c:a pcm_s16le", "sound.mkv");
    let offset = "-map 0 -map 1 -c copy";
    let late = bench.ffmpeg(
        &format!("-itsoffset 1.2 -i picture.mkv -i sound.mkv {offset}"),
        "late.mkv",
    );
    let (plan, _) = bench.plan(&late, &one_rung()).await.unwrap();
    let audio = plan.audios.into_iter().next().unwrap();
    assert_eq!((audio.base_us, audio.channels, audio.bitrate), (1_200_000, 2, 128_000));
    assert!((audio.duration_ms - 3800).abs() <= 2, "{}", audio.duration_ms);
    assert_eq!(plan.source.duration_ms, audio.duration_ms, "the longest track");

    let over = bench.ffmpeg(
        &format!("-itsoffset 6 -i picture.mkv -i sound.mkv {offset}"),
        "over.mkv",
    );
    let (plan, _) = bench.plan(&over, &one_rung()).await.unwrap();
    assert_eq!(plan.audios, [], "it ends before the first picture");
}

#[tokio::test]
async fn pictures_without_sound_and_sound_without_pictures() {
    let bench = Bench::new().await;
    let silent = bench.clip("10", 1.0, H264, "silent.mp4");
    let (plan, _) = bench.plan(&silent, &one_rung()).await.unwrap();
    assert_eq!((plan.audios.len(), plan.source.duration_ms), (0, 1000));
    let song = bench.ffmpeg("-f lavfi -i sine=d=2 -c:a flac", "song.flac");
    let (plan, _) = bench.plan(&song, &one_rung()).await.unwrap();
    assert_eq!(
        (plan.video, plan.source.duration_ms, plan.reads_mezzanine),
        (None, 2000, false)
    );
}

#[tokio::test]
async fn files_that_end_before_their_headers_say_are_refused() {
    let bench = Bench::new().await;
    for name in ["clip.avi", "clip.flv"] {
        let whole = bench.clip("25", 8.0, "-c:v flv -q:v 5", name);
        bench.plan(&whole, &one_rung()).await.unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        let cut = bench.file(&format!("cut_{name}"), &bytes[..bytes.len() / 2]);
        assert_eq!(
            reason(bench.plan(&cut, &one_rung()).await),
            Reason::SourceTruncated,
            "{name}"
        );
    }
}

#[tokio::test]
async fn few_frames_over_many_hours_are_too_long() {
    let bench = Bench::with(Limits {
        duration_max: Duration::from_secs(3600),
        ..Limits::default()
    })
    .await;
    let words = format!("-f lavfi -i testsrc2=s=64x64:r=1:d=3 -vf setpts=N*120000/TB {H264} -fps_mode passthrough");
    let bomb = bench.ffmpeg(&words, "bomb.mkv");
    assert_eq!(
        reason(bench.plan(&bomb, &one_rung()).await),
        Reason::SourceLimitExceeded
    );
}

#[tokio::test]
async fn packets_are_counted_before_they_fill_the_memory() {
    let bench = Bench::with(Limits {
        packets_max: 29,
        ..Limits::default()
    })
    .await;
    let clip = bench.clip("30", 1.0, H264, "clip.mp4");
    assert_eq!(
        reason(bench.plan(&clip, &one_rung()).await),
        Reason::SourceLimitExceeded
    );
}
