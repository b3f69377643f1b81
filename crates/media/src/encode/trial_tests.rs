//! What trials find, with real encoders.

use reelway_domain::{Ladder, Rung, preset};

use super::*;
use crate::{Plan, PlanView, testbench::Bench};

/// Long enough for a trial with three excerpts.
const SECONDS: u32 = 181;

fn ladder() -> Ladder {
    let rung = |short_side, bitrate_max| Rung {
        short_side,
        bitrate_max,
    };
    Ladder {
        rungs: vec![rung(180, 900_000), rung(90, 300_000)],
        crf: 23,
        ..preset("fast").unwrap()
    }
}

async fn planned(bench: &Bench, picture: &str, name: &str) -> (Plan, std::path::PathBuf) {
    let words = format!("-f lavfi -i {picture} -c:v libx264 -preset ultrafast -crf 18 -g 60 -pix_fmt yuv420p");
    let source = bench.ffmpeg(&words, name);
    bench.plan(&source, &ladder()).await.unwrap()
}

async fn tried(bench: &Bench, plan: &Plan, source: &std::path::Path) -> Trial {
    let scratch = bench.scratch();
    let mut told = Vec::new();
    let work = bench.workspace(source, &scratch);
    let trial = try_out(&work, plan, |progress| told.push(progress.done_ms))
        .await
        .unwrap();
    assert!(told.is_sorted(), "{told:?}");
    trial
}

#[tokio::test]
async fn easy_content_gets_a_lower_cap_and_takes_fewer_bytes_and_hard_content_the_ladders() {
    let bench = Bench::new().await;
    // A quiet picture with a short burst of noise, which no excerpt falls upon; and noise.
    let easy = format!("testsrc=s=320x180:r=15:d={SECONDS},noise=alls=60:allf=t:enable='between(t\\,10\\,13)'");
    let (plan, source) = planned(&bench, &easy, "easy.mp4").await;
    let video = plan.video.as_ref().unwrap();
    let trial = tried(&bench, &plan, &source).await;
    let cap = trial.caps.of(&video.rungs[0]);
    assert!(cap < 450_000, "{cap}");
    assert_eq!(
        trial.caps.of(&video.rungs[1]),
        300_000,
        "the smallest rung keeps the ladder's"
    );
    let likeness = trial.quality_of("180p").unwrap();
    assert!((0.9..=1.0).contains(&likeness.ssim), "{likeness:?}");
    assert_eq!(likeness.vmaf.is_some(), bench.tools.features().vmaf);

    let burst = video
        .chunks
        .iter()
        .position(|chunk| chunk.start_ticks() + chunk.duration_ticks() > 11 * 90_000)
        .unwrap();
    let mut bytes = Vec::new();
    for caps in [Caps::default(), trial.caps.clone()] {
        let job = ChunkJob {
            caps,
            ..ChunkJob::new(burst, 1)
        };
        let scratch = bench.scratch();
        let made = encode_chunk(&bench.workspace(&source, &scratch), video, &job, |_| {})
            .await
            .unwrap();
        bytes.push(std::fs::metadata(&made.pieces[0]).unwrap().len());
    }
    assert!(bytes[1] < bytes[0] * 9 / 10, "{bytes:?}");

    let hard = format!("testsrc2=s=320x180:r=15:d={SECONDS},noise=alls=80:allf=t");
    let (plan, source) = planned(&bench, &hard, "hard.mp4").await;
    let trial = tried(&bench, &plan, &source).await;
    assert_eq!(trial.caps.of(&plan.video.unwrap().rungs[0]), 900_000);
}

/// How much less like the source a rung may be with the trial's cap than without any, in SSIM: what nobody sees.
const SSIM_LOSS_MAX: f64 = 0.002;

/// The bytes and the SSIM of the largest rung of one chunk.
async fn weighed(bench: &Bench, source: &std::path::Path, part: &crate::VideoPlan, caps: Caps) -> (u64, f64) {
    let scratch = bench.scratch();
    let work = bench.workspace(source, &scratch);
    let job = ChunkJob {
        caps,
        ..ChunkJob::new(0, 1)
    };
    let made = encode_chunk(&work, part, &job, |_| {}).await.unwrap();
    let size = (part.rungs[0].width, part.rungs[0].height);
    let measured = likeness::measure(&work, part, &[&made.pieces[0]], size).await.unwrap();
    let bytes = std::fs::metadata(&made.pieces[0]).unwrap().len();
    (bytes, measured[0].unwrap().ssim)
}

#[tokio::test]
async fn a_lower_cap_keeps_the_quality_of_easy_content() {
    let bench = Bench::new().await;
    let easy = format!("testsrc=s=320x180:r=15:d={SECONDS}");
    let hard = format!("testsrc2=s=320x180:r=15:d={SECONDS},noise=alls=12:allf=t");
    let mut capped = Vec::new();
    for (picture, name) in [(easy, "easy.mp4"), (hard, "hard.mp4")] {
        let (plan, source) = planned(&bench, &picture, name).await;
        let caps = tried(&bench, &plan, &source).await.caps;
        let video = plan.video.unwrap();
        capped.push(caps.of(&video.rungs[0]));
        // Neither the first, nor one that the trial looked at.
        let mut part = crate::VideoPlan {
            chunks: vec![video.chunks[5].clone()],
            ..video
        };
        let (bytes, with_cap) = weighed(&bench, &source, &part, caps).await;
        part.rungs[0].bitrate_max = 100_000_000;
        let (bytes_free, without) = weighed(&bench, &source, &part, Caps::default()).await;
        assert!(bytes <= bytes_free + bytes_free / 50, "{name}: {bytes}, {bytes_free}");
        if name == "easy.mp4" {
            assert!(with_cap >= without - SSIM_LOSS_MAX, "{with_cap}, {without}");
        }
    }
    assert!(capped[0] <= 225_000, "a quarter of the ladder's is enough: {capped:?}");
    assert_eq!(capped[1], 900_000, "the ladder's");
}

/// A quiet film with two loud moments, all of it with and without the caps of its trial: each bit that the loud moments lose is
/// saved, and over the whole film nobody sees it.
#[tokio::test]
async fn easy_content_costs_fewer_bits_at_equal_quality() {
    let bench = Bench::new().await;
    let loud = "noise=alls=20:allf=t:enable='between(t\\,10\\,13)+between(t\\,100\\,103)'";
    let easy = format!("testsrc=s=320x180:r=15:d={SECONDS},{loud}");
    let (plan, source) = planned(&bench, &easy, "easy.mp4").await;
    let caps = tried(&bench, &plan, &source).await.caps;
    let video = plan.video.unwrap();
    let (mut bytes, mut likeness, mut frames) = ([0; 2], [0.0; 2], 0.0);
    for chunk in &video.chunks {
        let part = crate::VideoPlan {
            chunks: vec![chunk.clone()],
            rungs: video.rungs[..1].to_vec(),
            ..video.clone()
        };
        #[expect(clippy::cast_precision_loss, reason = "chunks have few frames")]
        let own = chunk.frames() as f64;
        frames += own;
        for (place, caps) in [Caps::default(), caps.clone()].into_iter().enumerate() {
            let (size, ssim) = weighed(&bench, &source, &part, caps).await;
            bytes[place] += size;
            likeness[place] += ssim * own;
        }
    }
    let [without, with] = likeness.map(|sum| sum / frames);
    assert!(bytes[1] <= bytes[0] * 9 / 10, "{bytes:?}");
    assert!(with >= without - SSIM_LOSS_MAX, "{with}, {without}");
}

#[tokio::test]
async fn excerpts_are_few_and_spread_over_what_is_there() {
    let bench = Bench::new().await;
    let (mut plan, _) = planned(&bench, &format!("testsrc=s=320x180:r=5:d={SECONDS}"), "long.mp4").await;
    let video = plan.video.clone().unwrap();
    let starts = |plan: &Plan| -> Vec<i64> {
        let chunks = trial_chunks(plan);
        chunks
            .iter()
            .map(|place| video.chunks[*place].start_ticks() / 90_000)
            .collect()
    };
    let whole = starts(&plan);
    assert_eq!(whole.len(), 3);
    assert!(
        whole[0] < 35 && (75..95).contains(&whole[1]) && whole[2] > 135,
        "{whole:?}"
    );
    let encoded: i64 = excerpts::excerpts(&video, &trial_chunks(&plan))
        .iter()
        .map(crate::ChunkPlan::duration_ticks)
        .sum();
    assert!(encoded <= i64::from(SECONDS) * 90_000 / 60, "{encoded}");
    plan.view = PlanView::Index;
    assert!(starts(&plan).iter().all(|start| *start < 16), "{:?}", starts(&plan));
    plan.video.as_mut().unwrap().rungs.truncate(1);
    assert_eq!(trial_chunks(&plan), Vec::<usize>::new());
    let (short, _) = planned(&bench, "testsrc=s=320x180:r=5:d=20", "short.mp4").await;
    assert_eq!(trial_chunks(&short), Vec::<usize>::new());
}
