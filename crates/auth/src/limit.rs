//! How many calls are let through in which time: for each tenant, and for each address.
//!
//! The algorithm is GCRA (<https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>), of which a limiter keeps one time per key.
//! Where processes share a Redis, they share the limits: one script there takes a call or says how long to wait, by Redis's
//! own clock. Otherwise, and for as long as Redis doesn't answer, each process counts for itself. A limit is not worth a call that
//! waits for it.

mod address;
#[cfg(test)]
mod contract;
mod layer;
mod local;
mod rate;
mod shared;

use std::{sync::Arc, time::Duration};

use reelway_bus::Bus;
use reelway_domain::{Failure, Reason};
use reelway_rpc::RETRY_AFTER_MS;

use self::{local::Local, shared::Shared};

pub use self::{
    address::ClientAddr,
    layer::{RateLayer, RateLimited},
    rate::{Rate, RateError},
};

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateBy {
    /// Those of a tenant.
    Tenant,
    /// Those from an address.
    Address,
}

impl RateBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Address => "address",
        }
    }
}

/// Lets a key's calls through, at a rate. Clones are the same limiter.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    by: RateBy,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Local(Local),
    Shared(Shared),
}

impl RateLimiter {
    /// A limiter that is shared by all whose bus goes through the same Redis under the same prefix.
    #[must_use]
    pub fn new(by: RateBy, rate: Rate, bus: &Bus) -> Self {
        let kind = match bus.scripts() {
            Some(scripts) => Kind::Shared(Shared::new(by, rate, scripts)),
            None => Kind::Local(Local::new(rate)),
        };
        Self(Arc::new(Inner { by, kind }))
    }

    /// Takes one of a key's calls. Waits for Redis no longer than about 50 ms, and seldom as long.
    ///
    /// # Errors
    /// `RATE_LIMITED` if there is none left now, with the milliseconds after which there is one in `retryAfterMs`.
    pub async fn take(&self, key: &str) -> Result<(), Failure> {
        let taken = match &self.0.kind {
            Kind::Local(local) => local.take(key),
            Kind::Shared(shared) => shared.take(key).await,
        };
        taken.map_err(|wait| refusal(self.0.by, wait))
    }

    fn by(&self) -> RateBy {
        self.0.by
    }
}

fn refusal(by: RateBy, wait: Duration) -> Failure {
    metrics::counter!("reelway_rate_limited_total", "by" => by.as_str()).increment(1);
    let wait_ms = wait.as_micros().div_ceil(1000).max(1);
    let message = format!("too many calls of this {}; try again in {wait_ms} ms", by.as_str());
    Failure::new(Reason::RateLimited, message)
        .with("limitedBy", by.as_str())
        .with(RETRY_AFTER_MS, wait_ms)
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn a_refusal_is_counted_and_tells_the_wait_in_whole_milliseconds() {
        let recorder = DebuggingRecorder::new();
        let refused = || refusal(RateBy::Address, Duration::from_micros(1001));
        let failure = metrics::with_local_recorder(&recorder, refused);
        assert_eq!(failure.metadata[RETRY_AFTER_MS], "2");
        let counted = recorder.snapshotter().snapshot().into_vec();
        let [(key, _, _, DebugValue::Counter(1))] = &counted[..] else {
            panic!("{counted:?}");
        };
        assert_eq!(key.key().name(), "reelway_rate_limited_total");
        assert!(key.key().labels().any(|label| label.value() == "address"));
    }
}
