//! The limiters of a process.

use reelway_auth::{RateBy, RateLimiter};
use reelway_bus::Bus;

use crate::config::ServeConfig;

/// The limiters of a process; absent: everything is let through.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Of the calls of each tenant.
    pub(super) tenant: Option<RateLimiter>,
    /// Of the HTTP requests from each address.
    pub(super) address: Option<RateLimiter>,
}

impl Limits {
    /// Those that are configured, counted where the bus goes.
    pub(super) fn new(config: &ServeConfig, bus: &Bus) -> Self {
        let limiter = |by, rate: Option<_>| rate.map(|rate| RateLimiter::new(by, rate, bus));
        Self {
            tenant: limiter(RateBy::Tenant, config.limits.rate_per_tenant),
            address: limiter(RateBy::Address, config.limits.rate_per_address),
        }
    }
}
