//! Samples are for everybody who listens at that moment.

use std::time::Duration;

use reelway_domain::{Sample, UploadId};
use tokio::time::timeout;

use super::case::{Case, comes};
use crate::{Bus, Samples};

fn sample(upload: UploadId, durable_offset: i64) -> Sample {
    Sample::Upload { upload, durable_offset }
}

/// Subscribes and waits until samples are heard.
async fn subscribe(bus: &Bus) -> Samples {
    let mut samples = bus.samples();
    let mark = UploadId::new();
    for number in 0.. {
        bus.sample(sample(mark, number));
        let is_heard = async { while samples.next().await.unwrap() != sample(mark, number) {} };
        if timeout(Duration::from_millis(50), is_heard).await.is_ok() {
            break;
        }
    }
    samples
}

/// The next sample that is about this upload.
async fn next(samples: &mut Samples, of: UploadId) -> i64 {
    loop {
        match comes(samples.next()).await.unwrap() {
            Sample::Upload { upload, durable_offset } if upload == of => return durable_offset,
            _ => {}
        }
    }
}

pub(super) async fn every_subscriber_hears_samples(case: Case) {
    let elsewhere = case.elsewhere();
    let mut subscribers = [
        subscribe(&case.bus).await,
        subscribe(&case.bus).await,
        subscribe(&elsewhere).await,
    ];
    let upload = UploadId::new();
    case.bus.sample(sample(upload, 1));
    for samples in &mut subscribers {
        assert_eq!(next(samples, upload).await, 1);
    }
}

pub(super) async fn many_samples_come_in_order(case: Case) {
    let mut samples = subscribe(&case.bus).await;
    let upload = UploadId::new();
    for round in 0..20 {
        for offset in 0..100 {
            case.bus.sample(sample(upload, round * 100 + offset));
        }
        for offset in 0..100 {
            assert_eq!(next(&mut samples, upload).await, round * 100 + offset);
        }
    }
}
