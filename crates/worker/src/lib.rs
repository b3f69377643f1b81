//! Claims tasks, keeps their leases, and runs ffmpeg. A worker serves nothing and owns nothing but scratch space.
//!
//! The way through the code is the way of a task: the [`Pool`] claims it, `attempt` keeps its lease while `work` does
//! it, and the catalog records what came of it, under the lease's epoch.

mod attempt;
mod beginnings;
#[cfg(test)]
mod bucket;
#[cfg(test)]
mod bucket_testing;
#[cfg(test)]
mod fidelity;
mod finish;
#[cfg(test)]
mod growing;
mod lease;
#[cfg(test)]
mod leftovers;
mod meter;
#[cfg(test)]
mod overlap;
mod pool;
#[cfg(test)]
mod pool_tests;
#[cfg(test)]
mod publishing;
mod room;
mod scratch;
#[cfg(test)]
mod sharing;
mod sources;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trace;
mod work;

use std::{path::PathBuf, sync::Arc, time::Duration};

use reelway_blob::{Store, Stores};
use reelway_bus::Bus;
use reelway_catalog::Catalog;
use reelway_domain::WorkerId;
use reelway_media::Tools;
use tokio_util::sync::CancellationToken;

use self::{
    beginnings::{Beginnings, IDLE_LOOK_EVERY, IDLE_MAX},
    sources::Sources,
};
pub use self::{
    finish::Finisher,
    pool::{Claimed, Pool},
    sources::{CACHE_BYTES_DEFAULT, SourceCache},
};

/// What a worker needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many tasks run at the same time; each runs at most one ffmpeg, which uses about one core.
    pub slots: usize,
    /// How much memory tasks may take together, by estimate, in MiB; `None`: any. A worker that does nothing else takes any task.
    pub memory_mib: Option<i64>,
    /// Where tasks work. Emptied at start.
    pub scratch: PathBuf,
    /// What is kept there of sources that are in a bucket.
    pub source_cache: SourceCache,
    /// How long running tasks may go on after the wish to stop, before they are handed back.
    pub drain: Duration,
}

/// One worker. Another start is another worker.
#[derive(Debug)]
pub struct Worker {
    id: WorkerId,
    catalog: Catalog,
    /// Holds what is read.
    store: Store,
    /// Holds what is read of sources that were moved after success.
    archive: Option<Store>,
    /// Takes what is made.
    outputs: Store,
    bus: Bus,
    tools: Tools,
    /// What is here of sources in a bucket.
    sources: Sources,
    /// What is here of uploads that arrive.
    beginnings: Beginnings,
    settings: Settings,
    finisher: Finisher,
}

impl Worker {
    /// Puts a worker together.
    #[must_use]
    pub fn new(catalog: Catalog, stores: impl Into<Stores>, bus: Bus, tools: Tools, settings: Settings) -> Arc<Self> {
        let stores = stores.into();
        Arc::new(Self {
            id: WorkerId::new(),
            finisher: Finisher::new(catalog.clone()),
            catalog,
            store: stores.sources,
            archive: stores.archive,
            outputs: stores.outputs,
            bus,
            tools,
            beginnings: Beginnings::new(settings.scratch.join("beginnings")),
            sources: Sources::new(settings.scratch.join("sources"), settings.source_cache),
            settings,
        })
    }

    /// Works until `shutdown`, then drains.
    ///
    /// # Errors
    /// If the scratch directory can't be made.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> std::io::Result<()> {
        self.sources.clear();
        scratch::empty(&self.settings.scratch).await?;
        tracing::info!(worker.id = %self.id, slots = self.settings.slots, "worker started");
        meter::begin(self.settings.slots);
        let pool = Pool {
            worker: self.id,
            catalog: self.catalog.clone(),
            bus: self.bus.clone(),
            slots: self.settings.slots,
            memory_mib: self.settings.memory_mib,
        };
        let drain = self.settings.drain;
        let tidying = shutdown.clone().run_until_cancelled_owned(Arc::clone(&self).tidy());
        let worker = Arc::clone(&self);
        let work = move |claimed, stop_now| {
            let worker = Arc::clone(&worker);
            async move { attempt::run(&worker, claimed, stop_now).await }
        };
        tokio::join!(tidying, pool.run(shutdown, drain, work));
        tracing::info!(worker.id = %self.id, "worker stopped");
        Ok(())
    }

    /// Gives up beginnings of uploads that have stopped, for ever.
    async fn tidy(self: Arc<Self>) {
        loop {
            tokio::time::sleep(IDLE_LOOK_EVERY).await;
            let worker = Arc::clone(&self);
            let tidied = tokio::task::spawn_blocking(move || worker.beginnings.forget_idle(IDLE_MAX));
            if let Err(error) = tidied.await {
                tracing::warn!(%error, "beginnings of uploads were not looked through");
            }
        }
    }
}
