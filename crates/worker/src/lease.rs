//! Keeping a lease: a heartbeat every third of it, on a task of its own, so that no work can delay it.

use std::{sync::Arc, time::Duration};

use reelway_bus::{Heard, Hints};
use reelway_catalog::{Beat, Task};
use reelway_domain::{Hint, limits};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::Worker;

/// A worker that can't reach the catalog stops so long before its lease can end on the database's clock.
const SAFETY_MARGIN: Duration = Duration::from_secs(2);
/// The pause after a heartbeat that got no answer.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Why a lease ended before the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// The job has ended.
    Cancelled,
    /// Somebody else has the task.
    Lost,
    /// The catalog could not be reached for so long that somebody else may have it.
    Unreachable,
}

/// The heartbeat of one claim. Dropping it stops it.
pub(crate) struct Keeper(JoinHandle<LeaseEnd>);

impl Keeper {
    /// Starts to beat. The lease counts from `asked_at`, on this process's own clock.
    pub(crate) fn start(worker: &Arc<Worker>, task: &Task, asked_at: Instant) -> Self {
        let (worker, task, hints) = (Arc::clone(worker), task.clone(), worker.bus.hints());
        Self(tokio::spawn(async move { beat(&worker, &task, asked_at, hints).await }))
    }

    /// Waits for the lease to end; a lease that is kept never does.
    pub(crate) async fn ended(&mut self) -> LeaseEnd {
        // A heartbeat that panicked keeps nothing.
        (&mut self.0).await.unwrap_or(LeaseEnd::Unreachable)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn beat(worker: &Worker, task: &Task, asked_at: Instant, mut hints: Hints) -> LeaseEnd {
    let good_for = limits::LEASE_TTL.saturating_sub(SAFETY_MARGIN);
    let mut good_until = asked_at + good_for;
    let mut pause = limits::HEARTBEAT_EVERY;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            // Something happened to the job: perhaps it was cancelled. Ask at once instead of at the next beat.
            () = job_changed(&mut hints, task) => {}
        }
        let sent_at = Instant::now();
        match timeout_at(good_until, worker.catalog.heartbeat(task, limits::LEASE_TTL)).await {
            Ok(Ok(Beat::Alive)) => {
                good_until = sent_at + good_for;
                pause = limits::HEARTBEAT_EVERY;
            }
            Ok(Ok(Beat::Cancelled)) => return LeaseEnd::Cancelled,
            Ok(Ok(Beat::Lost)) => return LeaseEnd::Lost,
            Ok(Err(error)) => {
                tracing::warn!(%error, task.id = %task.id, "a heartbeat failed");
                pause = RETRY_EVERY;
            }
            Err(_) => return LeaseEnd::Unreachable,
        }
        if Instant::now() >= good_until {
            return LeaseEnd::Unreachable;
        }
    }
}

async fn job_changed(hints: &mut Hints, task: &Task) {
    loop {
        match hints.next().await {
            Some(Heard::Hint(Hint::Events { job })) if job == task.job => return,
            Some(Heard::Lost) => return,
            Some(Heard::Hint(_)) => {}
            None => std::future::pending().await,
        }
    }
}
