//! The outbox relay: carries hints from the catalog to the bus.

use reelway_bus::Bus;
use reelway_catalog::{Catalog, Error};
use reelway_domain::limits;
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// Hints that are taken out at a time.
const BATCH_MAX: i64 = 256;

/// Relays until `shutdown`. A hint may be published twice, which is harmless; it is lost only with the bus itself.
pub async fn run(catalog: Catalog, bus: Bus, shutdown: CancellationToken) {
    let filled = catalog.outbox_filled();
    let mut trouble = Trouble::new("outbox relay");
    let relay = async {
        loop {
            // Listens before it looks, or a hint that is left in between waits for the next look.
            let mut woken = std::pin::pin!(filled.notified());
            woken.as_mut().enable();
            let pause = trouble.pause(drain(&catalog, &bus).await, limits::SCAN_EVERY);
            let pause = tokio::time::sleep(pause);
            if trouble.is_present() {
                pause.await;
            } else {
                tokio::select! {
                    () = woken => {}
                    () = pause => {}
                }
            }
        }
    };
    shutdown.run_until_cancelled(relay).await;
}

/// Publishes everything that is in the outbox.
async fn drain(catalog: &Catalog, bus: &Bus) -> Result<(), Error> {
    loop {
        let batch = catalog.take_outbox(BATCH_MAX).await?;
        let count = batch.hints.len();
        // Published before it is forgotten: a crash in between repeats hints instead of losing them.
        for hint in &batch.hints {
            bus.wake(*hint);
        }
        batch.delivered().await?;
        metrics::counter!("reelway_outbox_relayed_total").increment(count as u64);
        if count == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use reelway_domain::Hint;

    use super::*;
    use crate::testing::{Fixture, heard};

    #[tokio::test]
    async fn a_change_wakes_those_who_wait() {
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
    async fn a_batch_that_was_not_delivered_comes_again() {
        let fixture = Fixture::new().await;
        let job = fixture.upload_with_job().await.job.unwrap();
        // A relay that died between taking hints out and publishing them.
        let dropped = fixture.catalog.take_outbox(BATCH_MAX).await.unwrap();
        assert!(dropped.hints.contains(&Hint::Events { job }));
        drop(dropped);
        let bus = Bus::default();
        let mut hints = bus.hints();
        drain(&fixture.catalog, &bus).await.unwrap();
        heard(&mut hints, Hint::Events { job }).await;
        assert!(fixture.catalog.take_outbox(BATCH_MAX).await.unwrap().hints.is_empty());
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
        drain(&fixture.catalog, &bus).await.unwrap();
        for job in jobs {
            heard(&mut hints, Hint::Events { job }).await;
        }
    }
}
