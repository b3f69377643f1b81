//! The outbox relay: carries hints from the catalog to the bus that no courier carried, because its process died or the bus
//! was away.

use std::time::Duration;

use reelway_bus::Bus;
use reelway_catalog::Catalog;
use reelway_domain::limits;
use reelway_telemetry::publishing;
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// Hints that are taken out at a time.
const BATCH_MAX: i64 = 256;
/// Younger hints are left to the courier of the process that committed them.
const AGE_MIN: Duration = Duration::from_secs(1);
/// Older hints are dropped: the bus was away, and scanning has long found what they tell of.
const AGE_MAX: Duration = Duration::from_secs(600);

/// Relays until `shutdown`. A hint may be published twice, which is harmless; it is lost only with the bus itself.
pub async fn run(catalog: Catalog, bus: Bus, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("outbox relay");
    let relay = async {
        loop {
            let pause = trouble.pause(drain(&catalog, &bus, AGE_MIN).await, limits::SCAN_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(relay).await;
}

/// Publishes everything that was left behind for so long.
async fn drain(catalog: &Catalog, bus: &Bus, age_min: Duration) -> Result<(), RelayError> {
    catalog.forget_old_hints(AGE_MAX).await?;
    loop {
        let batch = catalog.take_outbox(BATCH_MAX, age_min).await?;
        let count = batch.notices.len();
        // Published before it is forgotten: a crash in between repeats hints instead of losing them.
        publishing(&batch.notices, bus.publish(&batch.notices)).await?;
        batch.delivered().await?;
        metrics::counter!("reelway_outbox_relayed_total").increment(count as u64);
        if count == 0 {
            return Ok(());
        }
    }
}

/// Why hints could not be carried.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Catalog(#[from] reelway_catalog::Error),
    #[error(transparent)]
    Bus(#[from] reelway_bus::BusError),
}

#[cfg(test)]
mod tests {
    use reelway_domain::Hint;

    use super::*;
    use crate::testing::{Fixture, heard};

    /// What is in the outbox. It stays there.
    async fn left(fixture: &Fixture) -> Vec<Hint> {
        let batch = fixture.catalog.take_outbox(BATCH_MAX, Duration::ZERO).await.unwrap();
        batch.notices.iter().map(|notice| notice.hint).collect()
    }

    #[tokio::test]
    async fn what_no_courier_carried_is_carried() {
        let fixture = Fixture::new().await;
        let bus = Bus::default();
        let mut hints = bus.hints();
        let shutdown = CancellationToken::new();
        let relay = tokio::spawn(run(fixture.catalog.clone(), bus, shutdown.clone()));
        let job = fixture.upload_with_job().await.job.unwrap();
        heard(&mut hints, Hint::Events { job }).await;
        shutdown.cancel();
        relay.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_young_is_left_to_the_courier() {
        let fixture = Fixture::new().await;
        let job = fixture.upload_with_job().await.job.unwrap();
        drain(&fixture.catalog, &Bus::default(), Duration::from_secs(3600))
            .await
            .unwrap();
        assert!(left(&fixture).await.contains(&Hint::Events { job }));
    }

    #[tokio::test]
    async fn a_batch_that_was_not_delivered_comes_again() {
        let fixture = Fixture::new().await;
        let job = fixture.upload_with_job().await.job.unwrap();
        // A relay that died between taking hints out and publishing them.
        assert!(left(&fixture).await.contains(&Hint::Events { job }));
        let bus = Bus::default();
        let mut hints = bus.hints();
        drain(&fixture.catalog, &bus, Duration::ZERO).await.unwrap();
        heard(&mut hints, Hint::Events { job }).await;
        assert_eq!(left(&fixture).await, []);
    }

    #[tokio::test]
    async fn more_hints_than_a_batch_holds_all_come() {
        let fixture = Fixture::new().await;
        let mut jobs = Vec::new();
        for _ in 0..BATCH_MAX / 2 + 3 {
            jobs.push(fixture.upload_with_job().await.job.unwrap());
        }
        let bus = Bus::default();
        let mut hints = bus.hints();
        drain(&fixture.catalog, &bus, Duration::ZERO).await.unwrap();
        for job in jobs {
            heard(&mut hints, Hint::Events { job }).await;
        }
    }
}
