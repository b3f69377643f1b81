//! The slots of a worker: a permit first, then a claim, then the work. A task is never held by a worker that has no hands free.

use std::{future::Future, sync::Arc, time::Duration};

use reelway_bus::{Bus, Wakes};
use reelway_catalog::{Catalog, Claim, Error};
use reelway_domain::{WorkerId, limits};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::room::{Room, Space};

/// The most tasks that are claimed at a time, so that one worker doesn't take what others wait for.
const CLAIMS_MAX: usize = 256;

/// A number of slots over one catalog and one bus.
#[derive(Debug)]
pub struct Pool {
    /// Who claims.
    pub worker: WorkerId,
    /// Where tasks come from.
    pub catalog: Catalog,
    /// What wakes.
    pub bus: Bus,
    /// How many tasks run at the same time.
    pub slots: usize,
    /// How much memory they may take together, by estimate, in MiB; `None`: any.
    pub memory_mib: Option<i64>,
}

/// A claim with the moment at which it was asked for: the lease counts from there at the earliest.
#[derive(Debug)]
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// When it was asked for.
    pub asked_at: Instant,
}

impl Pool {
    /// Claims tasks and runs each with `work` until `shutdown`. Then the running ones have `drain` to end before the token
    /// that each was given is cancelled; returns when all have ended.
    pub async fn run<W, F>(self, shutdown: CancellationToken, drain: Duration, work: W)
    where
        W: Fn(Claimed, CancellationToken) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (slots, room) = (Arc::new(Semaphore::new(self.slots)), Room::new(self.memory_mib));
        let (running, stop_now) = (TaskTracker::new(), CancellationToken::new());
        // Waits from before the first look on, or a change between the two would be missed.
        let mut wakes = self.bus.wakes();
        while let Some(taken) = self.next(&slots, &room, &mut wakes, &shutdown).await {
            for (permit, claimed) in taken {
                let taken = room.take(claimed.claim.task.memory_mib);
                let work = work(claimed, stop_now.clone());
                running.spawn(async move {
                    work.await;
                    drop((taken, permit));
                });
            }
        }
        running.close();
        if tokio::time::timeout(drain, running.wait()).await.is_err() {
            stop_now.cancel();
            running.wait().await;
        }
    }

    /// Waits for hands and for tasks: woken by the bus, and looking by itself from time to time, because wake-ups may be lost.
    /// `None` at shutdown. A claim that is under way is not dropped: it would be nobody's until its lease ends.
    async fn next(
        &self,
        slots: &Arc<Semaphore>,
        room: &Room,
        wakes: &mut Wakes,
        shutdown: &CancellationToken,
    ) -> Option<Vec<(OwnedSemaphorePermit, Claimed)>> {
        loop {
            let permits = shutdown.run_until_cancelled(free(slots)).await?;
            let asked_at = Instant::now();
            // Before the look at what fits, or an end between the two would be missed.
            let mut changes = room.changes();
            match self.claim(room.space(permits.len())).await {
                Ok(claims) if claims.is_empty() => {}
                Ok(claims) => {
                    let claimed = claims.into_iter().map(|claim| Claimed { claim, asked_at });
                    return Some(permits.into_iter().zip(claimed).collect());
                }
                Err(error) => tracing::warn!(%error, "could not claim a task"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = changes.next() => {}
                Some(_) = wakes.next() => {}
                () = sleep_until(asked_at + limits::SCAN_EVERY) => {}
            }
        }
    }

    async fn claim(&self, space: Space) -> Result<Vec<Claim>, Error> {
        let Space {
            tasks_max,
            memory_mib_max,
        } = space;
        let claimed = self
            .catalog
            .claim_batch(self.worker, limits::LEASE_TTL, tasks_max, memory_mib_max);
        claimed.await
    }
}

/// Waits for one free slot, and takes the others that are free too.
async fn free(slots: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let first = Arc::clone(slots).acquire_owned().await;
    let mut permits = vec![first.expect("the semaphore is never closed")];
    while permits.len() < CLAIMS_MAX
        && let Ok(more) = Arc::clone(slots).try_acquire_owned()
    {
        permits.push(more);
    }
    permits
}
