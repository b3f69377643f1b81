//! Waiting for tasks.

use reelway_domain::TraceContext;

use crate::{local, redis};

/// A worker's place among those who wait for tasks.
#[derive(Debug)]
pub struct Wakes(Kind);

#[derive(Debug)]
enum Kind {
    Local(local::Waiting),
    Redis(redis::Waiting),
}

/// Tasks may have become claimable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Woken {
    /// The trace of the change that made them so.
    pub trace: Option<TraceContext>,
}

impl Wakes {
    /// Waits until tasks may have become claimable; `None` when the bus is gone. Call it only with hands free: each wake-up is
    /// for one worker. If this is dropped while it waits, the wake-up goes to somebody else.
    pub async fn next(&mut self) -> Option<Woken> {
        match &mut self.0 {
            Kind::Local(waiting) => waiting.next().await,
            Kind::Redis(waiting) => waiting.next().await,
        }
    }
}

impl From<local::Waiting> for Wakes {
    fn from(waiting: local::Waiting) -> Self {
        Self(Kind::Local(waiting))
    }
}

impl From<redis::Waiting> for Wakes {
    fn from(waiting: redis::Waiting) -> Self {
        Self(Kind::Redis(waiting))
    }
}
