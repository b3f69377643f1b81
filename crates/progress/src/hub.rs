//! One hub per server follows the bus, merges samples and wakes watchers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use reelway_bus::{Bus, Heard};
use reelway_catalog::Catalog;
use reelway_domain::{EventSeq, Hint, JobId, Sample, Tenant, limits};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    lookout::Lookout,
    model::Model,
    samples::Samples,
    signal::{Key, Mark, Signals, Subscription},
};

/// How often samples of what is over are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// What all watchers of a server share. It hears of changes from the bus, and finds those that it did not hear of by looking
/// at the catalog from time to time (invariant 4).
#[derive(Debug)]
pub struct Hub {
    scan_every: Duration,
    signals: Arc<Signals>,
    /// Something happened to some job, perhaps to one of a tenant of which somebody watches everything.
    happened: Notify,
    samples: Mutex<Samples>,
    models: Mutex<HashMap<JobId, Weak<Model>>>,
}

impl Hub {
    /// A hub that hears and sees nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::scanning(limits::SCAN_EVERY)
    }

    /// A hub that looks at the catalog this often.
    pub(crate) fn scanning(scan_every: Duration) -> Arc<Self> {
        Arc::new(Self {
            scan_every,
            signals: Arc::default(),
            happened: Notify::new(),
            samples: Mutex::default(),
            models: Mutex::default(),
        })
    }

    /// Follows the bus and looks at the catalog until `shutdown`.
    pub async fn run(self: Arc<Self>, catalog: Catalog, bus: Bus, shutdown: CancellationToken) {
        let follow = async {
            tokio::join!(
                self.follow(&bus),
                Lookout::default().run(&self, &catalog, self.scan_every)
            )
        };
        shutdown.run_until_cancelled(follow).await;
    }

    async fn follow(&self, bus: &Bus) {
        let (mut hints, mut samples) = (bus.hints(), bus.samples());
        let mut forget = tokio::time::interval(FORGET_EVERY);
        loop {
            tokio::select! {
                // The caller holds a bus, so the bus is never gone.
                Some(heard) = hints.next() => self.heard(heard),
                Some(sample) = samples.next() => self.sampled(&sample),
                _ = forget.tick() => self.samples().forget_old(Instant::now()),
            }
        }
    }

    /// Lets those look who have seen something else of this.
    pub(crate) fn found(&self, key: &Key, mark: Mark) {
        self.signals.found(key, mark);
    }

    /// Waits until something happened that may concern who watches everything. A hint doesn't say whose job it is about: many
    /// are answered by asking once how far each tenant is, so that no tenant is woken by what others do.
    pub(crate) async fn happened(&self) {
        self.happened.notified().await;
    }

    /// Everything that somebody waits for.
    pub(crate) fn watched(&self) -> Vec<Key> {
        self.signals.keys()
    }

    /// The tenants of which somebody watches everything.
    pub(crate) fn watched_tenants(&self) -> Vec<Tenant> {
        self.signals.tenants()
    }

    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Hint(Hint::Events { job }) => {
                self.signals.look(&Key::Job(job));
                self.happened.notify_one();
            }
            Heard::Hint(Hint::Upload { upload }) => self.signals.look(&Key::Upload(upload)),
            Heard::Hint(Hint::Tasks { .. } | Hint::Writer { .. } | Hint::WriterAsked { .. }) => {}
            Heard::Lost => self.signals.look_everywhere(),
        }
    }

    /// Takes a sample in and lets those tell of it who wait for it.
    pub(crate) fn sampled(&self, sample: &Sample) {
        self.samples().put(sample, Instant::now());
        self.signals.sampled(&match sample {
            Sample::Task { job, .. } => Key::Job(*job),
            Sample::Upload { upload, .. } => Key::Upload(*upload),
        });
    }

    /// Lets every watcher look, as when hints were lost.
    #[cfg(test)]
    pub(crate) fn look_everywhere(&self) {
        self.heard(Heard::Lost);
    }

    /// Begins to wake a watcher.
    pub(crate) fn subscribe(&self) -> Subscription {
        self.signals.subscribe()
    }

    /// The merged samples. Held for a moment only.
    pub(crate) fn samples(&self) -> MutexGuard<'_, Samples> {
        // The maps are whole at every moment, also where a thread panicked.
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model of a job, shared by all who look at it at the same time.
    pub(crate) fn model(&self, job: JobId) -> Arc<Model> {
        let mut models = self.models();
        if let Some(model) = models.get(&job).and_then(Weak::upgrade) {
            return model;
        }
        models.retain(|_, model| model.strong_count() > 0);
        let model = Arc::new(Model::new(job));
        models.insert(job, Arc::downgrade(&model));
        model
    }

    /// Lets the model of a job, if somebody looks at it, know of an event.
    pub(crate) fn told(&self, job: JobId, seq: EventSeq) {
        if let Some(model) = self.models().get(&job).and_then(Weak::upgrade) {
            model.told(seq);
        }
    }

    fn models(&self) -> MutexGuard<'_, HashMap<JobId, Weak<Model>>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
