//! Sound of which a part in the middle can't be decoded: what comes out is as long as it should be, and silent there. That is counted,
//! and a gap that the source has by itself is not.

use std::ops::Range;

use reelway_domain::{Failure, JobState, Ladder, Reason};

use super::{check::ladder, run};
use crate::{SourceCache, bucket_testing::Bucket, testing::Bench};

/// A picture for 24 s, with sound.
const CLIP: &str = "-nostdin -v error -y -f lavfi -i testsrc2=s=64x64:r=10:d=24 -f lavfi -i sine=d=24 -c:v libx264 -preset ultrafast \
                    -pix_fmt yuv420p -c:a aac";
/// What of the sound is destroyed or left out, in seconds, and that in milliseconds.
const DAMAGE: Range<f64> = 9.0..15.0;
const DAMAGE_MS: Range<i64> = 5900..6150;
const GARBAGE: u8 = 0x55;

/// The clip with more options for its sound.
fn clip(bench: &Bench, options: &[&str]) -> Vec<u8> {
    let words: Vec<&str> = CLIP.split_whitespace().collect();
    run(
        "ffmpeg",
        bench.dir.path(),
        &[&words[..], options, &["clip.mp4"]].concat(),
    );
    std::fs::read(bench.dir.path().join("clip.mp4")).unwrap()
}

/// The clip with garbage where some of its sound was.
fn damaged(bench: &Bench) -> Vec<u8> {
    let mut bytes = clip(bench, &[]);
    let words = "-v error -select_streams a:0 -of csv=p=0 -show_entries packet=pts_time,size,pos clip.mp4";
    let listed = run(
        "ffprobe",
        bench.dir.path(),
        &words.split_whitespace().collect::<Vec<_>>(),
    );
    for line in String::from_utf8(listed.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let &[at, size, place, ..] = &fields[..] else { continue };
        if DAMAGE.contains(&at.parse().unwrap()) {
            let (size, place): (usize, usize) = (size.parse().unwrap(), place.parse().unwrap());
            bytes[place..place + size].fill(GARBAGE);
        }
    }
    bytes
}

fn ladder_allowing(missing_percent_max: f64) -> Ladder {
    Ladder {
        missing_percent_max,
        ..ladder(&[64])
    }
}

/// Fails unless it was refused for what is missing.
fn is_refused(error: Option<Failure>) {
    let error = error.unwrap();
    assert_eq!(error.reason, Reason::SourceDamaged, "{error:?}");
    let missing_ms: i64 = error.metadata["missingMs"].parse().unwrap();
    assert!(DAMAGE_MS.contains(&missing_ms), "{error:?}");
    assert!(error.message.contains(" of audio "), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_decoded_is_refused_unless_the_ladder_allows_it() {
    let bench = Bench::new().await;
    let job = bench.job_with(damaged(&bench), ladder_allowing(0.0)).await;
    is_refused(bench.run_woken_to_end(job).await.error);
    let job = bench.job_with(damaged(&bench), ladder_allowing(30.0)).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_of_the_source_is_no_damage() {
    let bench = Bench::new().await;
    let gap = format!("aselect='not(between(t\\,{}\\,{}))'", DAMAGE.start, DAMAGE.end);
    let job = bench.job_with(clip(&bench, &["-af", &gap]), ladder_allowing(0.0)).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
}

/// Of a source in a bucket tasks see parts; that something can't be decoded is believed of the whole alone.
#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_bucket_is_seen_by_the_whole_source() {
    let (mut bench, bucket) = (Bench::new().await, Bucket::new().await);
    bench.worker = bench.worker_reading(&bucket, SourceCache::default());
    let bytes = damaged(&bench);
    let arriving = bench.arriving(bytes.len(), ladder_allowing(0.0)).await;
    arriving.complete_in(&bench, &bucket, &bytes).await;
    let ended = bench.run_woken_to_end(arriving.job).await;
    is_refused(ended.error);
}
