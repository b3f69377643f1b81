//! A worker with the real catalog, store and ffmpeg, without any server.

use std::{path::Path, time::Duration};

use reelway_catalog::Fenced;
use reelway_domain::{
    EncoderSpeed, Failure, JobState, Ladder, Reason, Rung, TaskKind, TaskState, Tenant, WorkerId, preset,
};

use crate::{testing::Bench, work};

/// Invariant 4: no relay runs here, so not one hint is heard; the worker finds everything in the catalog.
#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_decides_the_bus_wakes() {
    let bench = Bench::new().await;
    let clip = bench.clip(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=30",
        "-f",
        "lavfi",
        "-i",
        "sine=440",
        "-t",
        "6",
        "-pix_fmt",
        "yuv420p",
    ]);
    let job = bench.job(clip).await;
    let ended = bench.run_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let names: Vec<&str> = ended
        .renditions
        .iter()
        .map(|rendition| rendition.name.as_str())
        .collect();
    assert_eq!(names, ["360p", "audio"]);
    assert_eq!(ended.source.unwrap().frames, 180);
    assert_eq!(ended.missing_frames, 0);
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    assert!(
        tasks
            .iter()
            .all(|task| task.state == TaskState::Succeeded && task.attempt == 1),
        "{tasks:?}"
    );
    assert!(bench.is_empty(Path::new("scratch")), "attempts leave nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_media_fails_at_once() {
    let bench = Bench::new().await;
    let job = bench.job(b"this is a letter, not a film".to_vec()).await;
    let ended = bench.run_to_end(job).await;
    assert_eq!(ended.state, JobState::Failed);
    assert_eq!(ended.error.unwrap().reason, Reason::SourceNotMedia);
    assert_eq!(ended.attempts, 1, "the same bytes would fail again");
}

/// Invariant 5: a worker that lost its lease changes nothing, and what it made is removed.
#[tokio::test(flavor = "multi_thread")]
async fn effects_are_fenced() {
    let bench = Bench::new().await;
    let job = bench.job(b"whatever".to_vec()).await;
    let zombie = bench
        .catalog
        .claim(WorkerId::new(), Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    let made = bench.dir.path().join("made");
    std::fs::write(&made, b"late").unwrap();
    let key = format!("probe-0000-e{}/late.txt", zombie.task.lease_epoch)
        .parse()
        .unwrap();
    bench.store.output(job).adopt(&key, &made).await.unwrap();
    while bench.catalog.reap(10).await.unwrap() == 0 {}

    let late = bench
        .catalog
        .succeed(&zombie.task, "{}", &reelway_catalog::Effect::None)
        .await
        .unwrap();
    assert_eq!(late, Fenced::LeaseLost);
    let failure = Failure::new(Reason::Internal, "late");
    assert_eq!(
        bench.catalog.fail_attempt(&zombie.task, &failure, "").await.unwrap(),
        Fenced::LeaseLost
    );
    work::discard(&bench.worker, &zombie.task).await;
    assert!(!bench.store.output(job).path(&key).exists());
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    let probe = tasks.iter().find(|task| task.kind == TaskKind::Probe).unwrap();
    assert_eq!((probe.state, probe.attempt), (TaskState::Queued, 1));
}

/// The presets of other codecs, from the upload to what players are told.
#[tokio::test(flavor = "multi_thread")]
async fn hevc_and_av1_are_made_and_described() {
    let bench = Bench::new().await;
    let clip = bench.clip(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=15",
        "-f",
        "lavfi",
        "-i",
        "sine=440",
        "-t",
        "13",
        "-pix_fmt",
        "yuv420p",
    ]);
    for (name, codec) in [("hevc", "hvc1.1."), ("av1", "av01.0.")] {
        let job = bench.job_with(clip.clone(), two_rungs(name)).await;
        let ended = bench.run_to_end(job).await;
        assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
        let names: Vec<&str> = ended.renditions.iter().map(|made| made.name.as_str()).collect();
        assert_eq!(names, ["240p", "144p", "audio"]);
        let codecs: Vec<&str> = ended.renditions.iter().map(|made| made.codecs.as_str()).collect();
        assert!(codecs[..2].iter().all(|found| found.starts_with(codec)), "{codecs:?}");
        assert_eq!(ended.source.unwrap().frames, 195);
        assert_eq!(ended.missing_frames, 0);
    }
}

/// A minute of an easy picture: the chunks after the lead are made with what the trial found, and callers hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_goes_before_the_chunks_of_a_long_clip() {
    let bench = Bench::new().await;
    let picture = "testsrc=size=320x240:rate=5";
    let clip = bench.clip(&["-f", "lavfi", "-i", picture, "-t", "61", "-pix_fmt", "yuv420p"]);
    let job = bench.job_with(clip, two_rungs("fast")).await;
    let ended = bench.run_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    for made in &ended.renditions {
        let quality = made.quality.unwrap();
        assert!((0.8..=1.0).contains(&quality.ssim), "{quality:?}");
    }
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    let of = |kind| tasks.iter().filter(move |task| task.kind == kind);
    assert_eq!(of(TaskKind::Trial).count(), 1);
    assert!(of(TaskKind::Video).all(|task| task.memory_mib > 0));
}

/// The ladder of a preset with two small rungs, made fast.
fn two_rungs(name: &str) -> Ladder {
    let rung = |short_side| Rung {
        short_side,
        bitrate_max: 500_000,
    };
    Ladder {
        rungs: vec![rung(240), rung(144)],
        speed: EncoderSpeed::Fast,
        ..preset(name).unwrap()
    }
}
