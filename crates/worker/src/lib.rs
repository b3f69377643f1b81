//! Claims tasks, keeps their leases, and runs ffmpeg. A worker serves nothing and owns nothing but scratch space.
//!
//! The way through the code is the way of a task: [`Worker::run`] claims it, `attempt` keeps its lease while `work` does
//! it, and the catalog records what came of it, under the lease's epoch.

mod attempt;
#[cfg(test)]
mod fidelity;
mod lease;
mod scratch;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod work;

use std::{path::PathBuf, sync::Arc, time::Duration};

use reelway_blob::DiskStore;
use reelway_bus::{Bus, Heard, Hints};
use reelway_catalog::{Catalog, Claim};
use reelway_domain::{Hint, WorkerId, limits};
use reelway_media::Tools;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a worker needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many tasks run at the same time; each runs at most one ffmpeg, which uses about one core.
    pub slots: usize,
    /// Where tasks work. Emptied at start.
    pub scratch: PathBuf,
    /// How long running tasks may go on after the wish to stop, before they are handed back.
    pub drain: Duration,
}

/// One worker. Another start is another worker.
#[derive(Debug)]
pub struct Worker {
    id: WorkerId,
    catalog: Catalog,
    store: DiskStore,
    bus: Bus,
    tools: Tools,
    settings: Settings,
}

/// A claim with the moment at which it was asked for: the lease counts from there at the earliest.
struct Claimed {
    claim: Claim,
    asked_at: Instant,
}

impl Worker {
    /// Puts a worker together.
    #[must_use]
    pub fn new(catalog: Catalog, store: DiskStore, bus: Bus, tools: Tools, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            id: WorkerId::new(),
            catalog,
            store,
            bus,
            tools,
            settings,
        })
    }

    /// Works until `shutdown`, then drains.
    ///
    /// # Errors
    /// If the scratch directory can't be made.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> std::io::Result<()> {
        scratch::empty(&self.settings.scratch).await?;
        tracing::info!(worker.id = %self.id, slots = self.settings.slots, "worker started");
        let slots = Arc::new(Semaphore::new(self.settings.slots));
        let (running, stop_now) = (TaskTracker::new(), CancellationToken::new());
        // Subscribed before the first look, or a change between the two would be missed.
        let mut hints = self.bus.hints();
        loop {
            // The permit comes before the claim: a task is never held by a worker that has no hands free.
            let permit = tokio::select! {
                () = shutdown.cancelled() => break,
                permit = Arc::clone(&slots).acquire_owned() => permit.expect("the semaphore is never closed"),
            };
            let claimed = tokio::select! {
                () = shutdown.cancelled() => break,
                claimed = self.next_claim(&mut hints) => claimed,
            };
            let (worker, stop_now) = (Arc::clone(&self), stop_now.clone());
            running.spawn(async move {
                attempt::run(&worker, claimed, stop_now).await;
                drop(permit);
            });
        }
        running.close();
        if tokio::time::timeout(self.settings.drain, running.wait()).await.is_err() {
            stop_now.cancel();
            running.wait().await;
        }
        tracing::info!(worker.id = %self.id, "worker stopped");
        Ok(())
    }

    /// Waits for a task: woken by hints, and looking by itself from time to time, because hints may be lost.
    async fn next_claim(&self, hints: &mut Hints) -> Claimed {
        loop {
            let asked_at = Instant::now();
            match self.catalog.claim(self.id, limits::LEASE_TTL).await {
                Ok(Some(claim)) => return Claimed { claim, asked_at },
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "could not claim a task"),
            }
            let next_look = Instant::now() + limits::SCAN_EVERY;
            loop {
                tokio::select! {
                    heard = hints.next() => match heard {
                        Some(Heard::Hint(Hint::Tasks) | Heard::Lost) => break,
                        Some(Heard::Hint(_)) => {}
                        // Without a bus there is still the clock.
                        None => { tokio::time::sleep_until(next_look).await; break; }
                    },
                    () = tokio::time::sleep_until(next_look) => break,
                }
            }
        }
    }
}
