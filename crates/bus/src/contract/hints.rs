//! Hints are for everybody.

use reelway_domain::{Hint, JobId, Sample, UploadId, WriterEpoch};

use super::case::{Case, comes, job, next_job, notice, subscribe};
use crate::{Heard, subscribe::HINTS_WAITING_MAX};

/// More than the queues of either bus hold.
const MANY_SAMPLES: i64 = 20_000;

pub(super) async fn every_subscriber_hears_every_hint_in_order(case: Case) {
    let elsewhere = case.elsewhere();
    let mut subscribers = [
        subscribe(&case.bus).await,
        subscribe(&case.bus).await,
        subscribe(&elsewhere).await,
    ];
    let upload = UploadId::new();
    let takeover = Hint::Writer {
        upload,
        epoch: WriterEpoch(7),
    };
    let jobs: Vec<JobId> = (0..300).map(|_| job()).collect();
    let notices: Vec<_> = jobs.iter().map(|job| notice(*job)).collect();
    case.bus.publish(&notices).await.unwrap();
    elsewhere.publish(&[takeover.into()]).await.unwrap();
    for hints in &mut subscribers {
        for job in &jobs {
            assert_eq!(next_job(hints).await, Some(*job));
        }
        while comes(hints.next()).await != Some(Heard::Hint(takeover)) {}
    }
}

pub(super) async fn nothing_is_heard_from_before_subscribing(case: Case) {
    let (before, after) = (job(), job());
    case.bus.publish(&[notice(before)]).await.unwrap();
    let mut hints = subscribe(&case.bus).await;
    case.bus.publish(&[notice(after)]).await.unwrap();
    assert_eq!(next_job(&mut hints).await, Some(after));
}

pub(super) async fn a_slow_subscriber_hears_that_it_lost_something(case: Case) {
    let (mut slow, mut fast) = (subscribe(&case.bus).await, subscribe(&case.bus).await);
    let mut last = job();
    for _ in 0..HINTS_WAITING_MAX / 128 + 1 {
        let jobs: Vec<JobId> = (0..128).map(|_| job()).collect();
        let notices: Vec<_> = jobs.iter().map(|job| notice(*job)).collect();
        case.bus.publish(&notices).await.unwrap();
        for job in jobs {
            assert_eq!(next_job(&mut fast).await, Some(job));
            last = job;
        }
    }
    assert_eq!(comes(slow.next()).await, Some(Heard::Lost));
    // And goes on with what is still there.
    while next_job(&mut slow).await != Some(last) {}
}

pub(super) async fn samples_push_out_no_hint(case: Case) {
    let mut hints = subscribe(&case.bus).await;
    let _samples = case.bus.samples();
    let (first, last) = (job(), job());
    case.bus.publish(&[notice(first)]).await.unwrap();
    for durable_offset in 0..MANY_SAMPLES {
        case.bus.sample(Sample::Upload {
            upload: UploadId::new(),
            durable_offset,
        });
    }
    case.bus.publish(&[notice(last)]).await.unwrap();
    assert_eq!(next_job(&mut hints).await, Some(first));
    assert_eq!(next_job(&mut hints).await, Some(last));
}

pub(super) async fn subscriptions_end_with_the_bus(case: Case) {
    let (mut hints, mut samples, mut wakes) = (case.bus.hints(), case.bus.samples(), case.bus.wakes());
    let waiting = tokio::spawn(async move { wakes.next().await });
    drop(case);
    while let Some(heard) = comes(hints.next()).await {
        assert_eq!(heard, Heard::Lost);
    }
    assert_eq!(comes(samples.next()).await, None);
    assert_eq!(comes(waiting).await.unwrap(), None);
}
