//! The bus through Redis Streams.
//!
//! Three streams: `{prefix}:tasks` with one consumer group, from which each wake-up goes to one waiting worker; `{prefix}:events`
//! with all other hints and `{prefix}:samples`, which each process that has subscribers follows with one reader. All of them are
//! trimmed, all may vanish at any time, and none is the only place where something is known.
//!
//! One connection publishes. Each reader has its own, because a read blocks its connection.

mod backoff;
mod entry;
mod follow;
mod health;
mod link;
mod publish;
mod pull;
mod sampler;
mod script;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod trouble;

use std::{
    fmt,
    sync::{Arc, Once},
};

use reelway_domain::{Notice, Sample};
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{link::Link, session::Door, settings::Keys};
use crate::{
    BusError, Heard, Hints, Samples, Wakes,
    subscribe::{HINTS_WAITING_MAX, SAMPLES_WAITING_MAX},
};

pub(crate) use self::pull::Waiting;
pub use self::{
    script::{Script, Scripts},
    settings::{RedisSettings, RedisSettingsError},
};

/// One bus through Redis. Its tasks end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Redis(Arc<Shared>);

struct Shared {
    door: Arc<Door>,
    keys: Keys,
    prefix: String,
    link: Link,
    hints: broadcast::Sender<Heard>,
    samples: broadcast::Sender<Sample>,
    sampler: mpsc::Sender<Sample>,
    follow_events: Once,
    follow_samples: Once,
    runtime: Handle,
    ended: CancellationToken,
    _end: DropGuard,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("keys", &self.0.keys)
            .finish_non_exhaustive()
    }
}

impl Redis {
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, RedisSettingsError> {
        let keys = Keys::new(&settings.prefix);
        let door = Arc::new(Door::new(settings)?);
        let runtime = Handle::current();
        let ended = CancellationToken::new();
        let link = Link::keep(&runtime, Arc::clone(&door), keys.probe.clone(), ended.clone());
        let sampler = sampler::start(&runtime, link.clone(), keys.samples.clone());
        Ok(Self(Arc::new(Shared {
            door,
            keys,
            prefix: settings.prefix.clone(),
            link,
            hints: broadcast::Sender::new(HINTS_WAITING_MAX),
            samples: broadcast::Sender::new(SAMPLES_WAITING_MAX),
            sampler,
            follow_events: Once::new(),
            follow_samples: Once::new(),
            runtime,
            _end: ended.clone().drop_guard(),
            ended,
        })))
    }

    pub(crate) async fn publish(&self, notices: &[Notice]) -> Result<(), BusError> {
        publish::publish(&self.0.link, &self.0.keys, notices).await
    }

    pub(crate) fn sample(&self, sample: Sample) {
        if self.0.sampler.try_send(sample).is_err() {
            sampler::dropped(1);
        }
    }

    pub(crate) fn hints(&self) -> Hints {
        let shared = &self.0;
        let hints = shared.hints.subscribe();
        shared
            .follow_events
            .call_once(|| self.follow(&shared.keys.events, &shared.hints));
        Hints(hints)
    }

    pub(crate) fn samples(&self) -> Samples {
        let shared = &self.0;
        let samples = shared.samples.subscribe();
        shared
            .follow_samples
            .call_once(|| self.follow(&shared.keys.samples, &shared.samples));
        Samples(samples)
    }

    pub(crate) fn wakes(&self) -> Wakes {
        let shared = &self.0;
        Waiting::start(
            &shared.runtime,
            Arc::clone(&shared.door),
            shared.keys.tasks.clone(),
            &shared.ended,
        )
        .into()
    }

    fn follow(&self, key: &str, audience: &(impl follow::Audience + Clone + Send + Sync + 'static)) {
        let follow = follow::run(Arc::clone(&self.0.door), key.to_owned(), audience.clone());
        self.0
            .runtime
            .spawn(self.0.ended.clone().run_until_cancelled_owned(follow));
    }
}
