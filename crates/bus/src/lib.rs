//! Wake-ups and progress samples between roles, within one process or through Redis Streams. Everything on the bus may be lost:
//! the catalog decides, the bus wakes (invariant 4).
//!
//! Hints and samples travel apart, so that many samples never push out a hint. Task wake-ups travel apart from both, because
//! each is for one worker and not for all.

#[cfg(test)]
mod contract;
mod local;
mod redis;
mod subscribe;
mod wakes;

use reelway_domain::{Notice, Sample};

use self::{local::Local, redis::Redis};

pub use self::{
    redis::{RedisSettings, RedisSettingsError, Script, Scripts},
    subscribe::{Heard, Hints, Samples},
    wakes::{Wakes, Woken},
};

/// A notice of many tasks wakes at most so many workers. Who is woken wakes nobody else, but there are never many more workers.
const WAKES_MAX: u32 = 32;

/// The bus. Clones are the same bus; it ends with the last of them. The default one lies within the process.
#[derive(Debug, Clone)]
pub struct Bus(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Local(Local),
    Redis(Redis),
}

/// Nobody may have heard.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server of the bus did not take it.
    #[error("the bus is away: {0}")]
    Away(String),
}

impl Default for Bus {
    fn default() -> Self {
        Self(Kind::Local(Local::default()))
    }
}

impl Bus {
    /// The bus through Redis, 6.2 or later. Returns at once: Redis may come, go and come back at any time.
    ///
    /// # Errors
    /// If the settings can't be understood.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the caller has no more use for what may hold a password"
    )]
    pub fn redis(settings: RedisSettings) -> Result<Self, RedisSettingsError> {
        Redis::new(&settings).map(|redis| Self(Kind::Redis(redis)))
    }

    /// Tells everybody concerned to look. Takes little more than a second at most.
    ///
    /// # Errors
    /// [`BusError::Away`] if it is not known that the bus has it. Publishing again is harmless.
    pub async fn publish(&self, notices: &[Notice]) -> Result<(), BusError> {
        match &self.0 {
            Kind::Local(local) => {
                notices.iter().for_each(|notice| local.put(notice));
                Ok(())
            }
            Kind::Redis(redis) => redis.publish(notices).await,
        }
    }

    /// Tells every subscriber how far something is. Never waits; a bus that can't take it drops it.
    pub fn sample(&self, sample: Sample) {
        match &self.0 {
            Kind::Local(local) => local.sample(sample),
            Kind::Redis(redis) => redis.sample(sample),
        }
    }

    /// Subscribes to hints other than task wake-ups.
    #[must_use]
    pub fn hints(&self) -> Hints {
        match &self.0 {
            Kind::Local(local) => local.hints(),
            Kind::Redis(redis) => redis.hints(),
        }
    }

    /// Subscribes to samples.
    #[must_use]
    pub fn samples(&self) -> Samples {
        match &self.0 {
            Kind::Local(local) => local.samples(),
            Kind::Redis(redis) => redis.samples(),
        }
    }

    /// Waits for tasks together with all other workers.
    #[must_use]
    pub fn wakes(&self) -> Wakes {
        match &self.0 {
            Kind::Local(local) => local.wakes(),
            Kind::Redis(redis) => redis.wakes(),
        }
    }
}
