//! Samples: how far it is, never back, never beyond.

use std::time::{Duration, Instant};

use reelway::v1::{self, watch_progress_response::Message};
use reelway_catalog::Claim;
use reelway_domain::{JobId, Sample, TaskKind};

use super::job_target;
use crate::{
    Pace,
    testing::{CHUNK_MS, Fixture, patient},
    watch::Watch,
};

fn sample(fixture: &Fixture, claim: &Claim, done_ms: i64) {
    let sample = Sample::Task {
        job: claim.task.job,
        task: claim.task.id,
        lease_epoch: claim.task.lease_epoch.0,
        done_ms,
        speed: 2.0,
    };
    fixture.hub.sampled(&sample);
}

/// A job whose first video task is claimed.
async fn encoding(fixture: &Fixture) -> (JobId, Claim) {
    let job = fixture.job().await;
    fixture.work().await.unwrap();
    fixture.work().await.unwrap();
    let claim = fixture.claim().await.unwrap();
    assert_eq!(claim.task.kind, TaskKind::Video);
    (job, claim)
}

/// Asks a watch until it tells a sample that fits.
async fn told(watch: &mut Watch, fits: impl Fn(&v1::Progress) -> bool) -> (v1::Progress, Vec<u8>, Vec<f64>) {
    let mut percents = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
        let told = next.unwrap().unwrap().unwrap();
        let progress = match told.message.unwrap() {
            Message::Sample(progress) => progress,
            Message::Snapshot(mut snapshot) => snapshot.entries.remove(0),
            Message::Event(_) | Message::Bookmark(_) => continue,
        };
        percents.push(progress.percent);
        if fits(&progress) {
            return (progress, told.resume_token.to_vec(), percents);
        }
    }
}

async fn open(fixture: &Fixture, job: JobId, token: &[u8]) -> Watch {
    let (sources, shutdown) = (fixture.sources(), fixture.shutdown.clone());
    Watch::open(sources, patient(), shutdown, job_target(job), token)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_sample_tells_how_far_each_rendition_is() {
    let fixture = Fixture::deaf().await;
    let (job, claim) = encoding(&fixture).await;
    let mut watch = open(&fixture, job, b"").await;
    sample(&fixture, &claim, CHUNK_MS / 2);
    let (progress, ..) = told(&mut watch, |progress| progress.speed > 0.0).await;
    let names: Vec<&str> = progress.renditions.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["360p", "audio"]);
    let encoded = progress.renditions[0].encoded.unwrap();
    assert_eq!(
        (encoded.seconds, progress.renditions[1].encoded.unwrap().seconds),
        (CHUNK_MS / 2_000, 0)
    );
    assert!(
        (progress.percent - 25.0).abs() < 2.0,
        "a quarter of the video: {}",
        progress.percent
    );
}

#[tokio::test]
async fn percent_never_goes_back_even_over_connections() {
    let fixture = Fixture::deaf().await;
    let (job, claim) = encoding(&fixture).await;
    let mut watch = open(&fixture, job, b"").await;
    sample(&fixture, &claim, CHUNK_MS);
    let (high, token, before) = told(&mut watch, |progress| progress.percent > 40.0).await;
    // The worker is gone and another begins anew.
    fixture.catalog.hand_back(&claim.task).await.unwrap();
    let again = fixture.claim().await.unwrap();
    assert_eq!(again.task.id, claim.task.id);
    sample(&fixture, &again, 1);
    let is_new = |progress: &v1::Progress| progress.renditions[0].encoded.unwrap().seconds == 0;
    let (_, _, after) = told(&mut watch, is_new).await;
    let mut resumed = open(&fixture, job, &token).await;
    let (_, _, elsewhere) = told(&mut resumed, is_new).await;
    for percents in [[before.clone(), after].concat(), [before, elsewhere].concat()] {
        assert!(percents.is_sorted(), "{percents:?}");
        assert!(percents[percents.len() - 1] >= high.percent && high.percent <= 100.0);
    }
    let fresh = open(&fixture, job, b"");
    let (low, ..) = told(&mut fresh.await, |_| true).await;
    assert!(
        low.percent < high.percent,
        "the test went back: {} {}",
        low.percent,
        high.percent
    );
}

#[tokio::test]
async fn the_time_left_is_told_once_there_is_a_rate() {
    let fixture = Fixture::deaf().await;
    let (job, claim) = encoding(&fixture).await;
    let mut watch = open(&fixture, job, b"").await;
    let (first, ..) = told(&mut watch, |_| true).await;
    assert_eq!(first.time_left, None);
    for done_ms in 1.. {
        sample(&fixture, &claim, done_ms * 10);
        let (progress, ..) = told(&mut watch, |_| true).await;
        if let Some(left) = progress.time_left {
            assert!(left.seconds >= 0 && left.nanos >= 0, "{left:?}");
            break;
        }
    }
}

#[tokio::test]
async fn samples_come_no_faster_than_the_pace() {
    let fixture = Fixture::deaf().await;
    let (job, claim) = encoding(&fixture).await;
    let pace = Pace {
        sample_every: Duration::from_millis(200),
        bookmark_every: Duration::from_millis(450),
        ..patient()
    };
    let (sources, shutdown) = (fixture.sources(), fixture.shutdown.clone());
    let mut watch = Watch::open(sources, pace, shutdown, job_target(job), b"")
        .await
        .unwrap();
    let mut times = Vec::new();
    for done_ms in 1.. {
        sample(&fixture, &claim, done_ms);
        let told = watch.next().await.unwrap().unwrap().message.unwrap();
        if matches!(told, Message::Sample(_)) {
            times.push(Instant::now());
        }
        if times.len() == 4 {
            break;
        }
    }
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(190), "{times:?}");
    }
}
