//! One hub per server follows the bus, merges samples and wakes watchers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use reelway_bus::{Bus, Heard};
use reelway_domain::{EventSeq, Hint, JobId, Sample};
use tokio_util::sync::CancellationToken;

use crate::{
    model::Model,
    samples::Samples,
    signal::{Key, Signals, Subscription},
};

/// How often samples of what is over are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// What all watchers of a server share. It decides nothing: without it, or with every hint lost, watchers find each
/// change by looking from time to time (invariant 4).
#[derive(Debug, Default)]
pub struct Hub {
    signals: Arc<Signals>,
    samples: Mutex<Samples>,
    models: Mutex<HashMap<JobId, Weak<Model>>>,
}

impl Hub {
    /// A hub that hears nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Follows the bus until `shutdown`.
    pub async fn run(self: Arc<Self>, bus: Bus, shutdown: CancellationToken) {
        let (mut hints, mut samples) = (bus.hints(), bus.samples());
        let mut forget = tokio::time::interval(FORGET_EVERY);
        let follow = async {
            loop {
                tokio::select! {
                    // This task holds a bus, so the bus is never gone.
                    Some(heard) = hints.next() => self.heard(heard),
                    Some(sample) = samples.next() => self.sampled(&sample),
                    _ = forget.tick() => self.samples().forget_old(Instant::now()),
                }
            }
        };
        shutdown.run_until_cancelled(follow).await;
    }

    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Hint(Hint::Events { job }) => {
                self.signals.look(Key::Job(job));
                self.signals.look(Key::Everything);
            }
            Heard::Hint(Hint::Upload { upload }) => self.signals.look(Key::Upload(upload)),
            Heard::Hint(Hint::Tasks) => {}
            Heard::Lost => self.signals.look_everywhere(),
        }
    }

    fn sampled(&self, sample: &Sample) {
        self.samples().put(sample, Instant::now());
        self.signals.sampled(match sample {
            Sample::Task { job, .. } => Key::Job(*job),
            Sample::Upload { upload, .. } => Key::Upload(*upload),
        });
        self.signals.sampled(Key::Everything);
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
