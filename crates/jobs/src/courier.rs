//! The courier: publishes what this process has just committed. Every process has one.

use reelway_bus::Bus;
use reelway_catalog::{Catalog, Fresh};
use reelway_domain::Notice;
use reelway_telemetry::publishing;
use tokio_util::sync::CancellationToken;

/// Hints that are published and forgotten at a time.
const BATCH_MAX: usize = 256;

/// Carries hints until `shutdown`. What it can't deliver stays in the outbox, where a relay finds it.
pub async fn run(catalog: Catalog, bus: Bus, shutdown: CancellationToken) {
    let courier = async {
        loop {
            let fresh = catalog.next_fresh().await;
            for batch in fresh.chunks(BATCH_MAX) {
                deliver(&catalog, &bus, batch).await;
            }
        }
    };
    shutdown.run_until_cancelled(courier).await;
}

async fn deliver(catalog: &Catalog, bus: &Bus, batch: &[Fresh]) {
    let notices: Vec<Notice> = batch.iter().map(|fresh| fresh.notice.clone()).collect();
    // Published before it is forgotten: a crash in between repeats hints instead of losing them.
    if let Err(error) = publishing(&notices, bus.publish(&notices)).await {
        tracing::debug!(%error, count = batch.len(), "hints stay in the outbox");
        return;
    }
    if let Err(error) = catalog.forget_hints(batch).await {
        tracing::debug!(%error, count = batch.len(), "hints will be published once more");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reelway_bus::RedisSettings;
    use reelway_domain::Hint;
    use reelway_testkit::Redis;

    use super::*;
    use crate::{
        relay,
        testing::{Fixture, eventually, heard},
    };

    async fn hints_left(fixture: &Fixture) -> usize {
        let batch = fixture.catalog.take_outbox(100, Duration::ZERO).await.unwrap();
        batch.notices.len()
    }

    #[tokio::test]
    async fn what_is_committed_here_is_published_without_a_relay() {
        let fixture = Fixture::new().await;
        let (bus, shutdown) = (Bus::default(), CancellationToken::new());
        let mut hints = bus.hints();
        let courier = tokio::spawn(run(fixture.catalog.clone(), bus, shutdown.clone()));
        let jobs = [fixture.upload_with_job().await.job, fixture.upload_with_job().await.job];
        for job in jobs {
            heard(&mut hints, Hint::Events { job: job.unwrap() }).await;
        }
        eventually(async || hints_left(&fixture).await == 0).await;
        shutdown.cancel();
        courier.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_bus_that_was_away_gets_everything_when_it_is_back() {
        let fixture = Fixture::new().await;
        let mut redis = Redis::start().await;
        let settings = RedisSettings {
            url: redis.url(),
            prefix: "test".into(),
            ca_file: None,
        };
        redis.kill9();
        let bus = Bus::redis(settings).unwrap();
        let shutdown = CancellationToken::new();
        let courier = tokio::spawn(run(fixture.catalog.clone(), bus.clone(), shutdown.clone()));
        let relay = tokio::spawn(relay::run(fixture.catalog.clone(), bus, shutdown.clone()));
        let mut jobs = Vec::new();
        for _ in 0..5 {
            jobs.push(fixture.upload_with_job().await.job.unwrap().to_string());
        }
        let oldest = async || fixture.catalog.backlog().await.unwrap().outbox_oldest;
        eventually(async || oldest().await > Duration::from_secs(2)).await;
        redis.restart_in_place().await;
        eventually(async || hints_left(&fixture).await == 0).await;
        shutdown.cancel();
        courier.await.unwrap();
        relay.await.unwrap();
        let events = redis.command(&["XRANGE", "test:events", "-", "+"]).await;
        for job in jobs {
            assert!(events.contains(&job), "{job} in {events}");
        }
    }
}
