//! Two servers on one Postgres, each with the same loops: what they do, they do once.

use std::{collections::HashMap, time::Duration};

use reelway_bus::{Bus, Heard};
use reelway_catalog::Catalog;
use reelway_domain::{Hint, JobId, WorkerId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    expirer, reaper, relay,
    testing::{Fixture, eventually, new_upload},
    webhooks::{
        self,
        testing::{Receiver, settings},
    },
};

/// Enough that two servers meet.
const UPLOADS: usize = 20;

/// Runs a loop on two servers until a condition holds, and then ends it in good order.
async fn both<Loop: Future<Output = ()> + Send + 'static>(
    fixture: &Fixture,
    run: impl Fn(Catalog, CancellationToken) -> Loop,
    until: impl AsyncFn() -> bool,
) {
    let shutdown = CancellationToken::new();
    let mut loops = JoinSet::new();
    for catalog in [fixture.catalog.clone(), fixture.another_catalog().await] {
        loops.spawn(run(catalog, shutdown.clone()));
    }
    eventually(until).await;
    shutdown.cancel();
    loops.join_all().await;
}

async fn complete_uploads(fixture: &Fixture) {
    for _ in 0..UPLOADS {
        fixture.complete_upload_with_job().await;
    }
}

fn count(fixture: &Fixture, rows: &str) -> usize {
    usize::try_from(fixture.database().number(&format!("SELECT COUNT(*) FROM {rows}"))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_relayed_once() {
    let fixture = Fixture::on_postgres().await;
    let bus = Bus::default();
    let mut hints = bus.hints();
    let mut counts = HashMap::new();
    for _ in 0..UPLOADS {
        counts.insert(fixture.upload_with_job().await.job.unwrap(), 0);
    }
    let relay = |catalog, shutdown| relay::run(catalog, bus.clone(), shutdown);
    both(&fixture, relay, async || count(&fixture, "outbox") == 0).await;
    let last = JobId::new();
    bus.publish(&[Hint::Events { job: last }.into()]).await.unwrap();
    loop {
        match hints.next().await.unwrap() {
            Heard::Hint(Hint::Events { job }) if job == last => break,
            Heard::Hint(Hint::Events { job }) => *counts.get_mut(&job).unwrap() += 1,
            Heard::Hint(_) => {}
            Heard::Lost => panic!("the bus holds that many"),
        }
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_reaped_once() {
    let fixture = Fixture::on_postgres().await;
    complete_uploads(&fixture).await;
    for _ in 0..UPLOADS {
        let claim = fixture.catalog.claim(WorkerId::new(), Duration::from_millis(1)).await;
        claim.unwrap().unwrap();
    }
    both(&fixture, reaper::run, async || {
        count(&fixture, "tasks WHERE state = 'running'") == 0
    })
    .await;
    assert_eq!(count(&fixture, "job_events WHERE change LIKE '%WORKER_LOST%'"), UPLOADS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_expire_once() {
    let fixture = Fixture::on_postgres().await;
    for _ in 0..UPLOADS {
        let mut new = new_upload();
        new.expiry = Duration::ZERO;
        fixture.create(new).await;
    }
    let expirer = |catalog, shutdown| expirer::run(catalog, fixture.bytes.clone(), shutdown);
    both(&fixture, expirer, async || {
        count(&fixture, "uploads WHERE freed = 1") == UPLOADS
    })
    .await;
    assert_eq!(count(&fixture, "webhooks WHERE event = 'job.failed'"), UPLOADS);
    assert_eq!(count(&fixture, "jobs WHERE state = 'failed'"), UPLOADS);
    assert!(fixture.store.list_uploads().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_delivered_once() {
    let fixture = Fixture::on_postgres().await;
    complete_uploads(&fixture).await;
    let mut receiver = Receiver::start([]).await;
    let mut settings = settings();
    settings.endpoints = vec![receiver.url.clone(), receiver.by_name()];
    let deliverer = |catalog, shutdown| webhooks::run(catalog, settings.clone(), shutdown);
    both(&fixture, deliverer, async || {
        count(&fixture, "webhooks WHERE state = 'pending'") == 0
    })
    .await;
    let mut counts = HashMap::new();
    for _ in 0..2 * UPLOADS {
        let got = receiver.next().await;
        let receiver_and_message = (got.header("host").to_owned(), got.header("webhook-id").to_owned());
        *counts.entry(receiver_and_message).or_insert(0) += 1;
    }
    assert!(receiver.has_nothing());
    assert_eq!(counts.len(), 2 * UPLOADS, "{counts:?}");
}
