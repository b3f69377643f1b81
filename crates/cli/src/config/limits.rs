//! What tenants and addresses may have and do.

use std::str::FromStr;

use reelway_auth::{Rate, RateError};
use reelway_catalog::QuotaDefaults;
use serde::Deserialize;

use crate::{byte_size::ByteSize, serve_args::ServeOptions};

/// From one address. Far more than one person's player and uploads make, and also an office behind one address; what comes at this
/// rate is a program that has gone wrong, or wants to do harm.
const RATE_PER_ADDRESS: &str = "1000/s:5000";
/// The word for no limit at all.
const NONE: &str = "none";

/// Limits as they are configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LimitsConfig {
    /// What tenants may have that have no limits of their own.
    pub(crate) quota: QuotaDefaults,
    /// How many calls of a tenant are taken; absent: all.
    pub(crate) rate_per_tenant: Option<Rate>,
    /// How many requests from an address are taken; absent: all.
    pub(crate) rate_per_address: Option<Rate>,
}

/// A rate, or the word `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RateSetting(Option<Rate>);

impl FromStr for RateSetting {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        (text != NONE).then(|| text.parse()).transpose().map(Self)
    }
}

impl TryFrom<String> for RateSetting {
    type Error = RateError;

    fn try_from(text: String) -> Result<Self, RateError> {
        text.parse()
    }
}

impl LimitsConfig {
    /// What was given, and the defaults for the rest.
    pub(super) fn take(options: &mut ServeOptions) -> Self {
        // More than fits is no limit.
        let bytes = |size: ByteSize| i64::try_from(size.0).unwrap_or(i64::MAX);
        let per_address = options.rate_per_address.take();
        Self {
            quota: QuotaDefaults {
                bytes_max: options.tenant_bytes_max.take().map(bytes),
                uploads_open_max: options.tenant_uploads_open_max.take().map(i64::from),
            },
            rate_per_tenant: options.rate_per_tenant.take().and_then(|setting| setting.0),
            // The default is a rate, which a test looks at.
            rate_per_address: per_address.map_or_else(|| RATE_PER_ADDRESS.parse().ok(), |setting| setting.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    #[test]
    fn only_addresses_are_limited_by_default() {
        let limits = config(&[]).limits;
        assert_eq!(limits.quota, QuotaDefaults::default());
        assert_eq!(limits.rate_per_tenant, None);
        assert_eq!(limits.rate_per_address, Some(RATE_PER_ADDRESS.parse().expect("a rate")));
    }

    #[test]
    fn limits_are_configured() {
        let flags = ["--rate-per-address", "none", "--rate-per-tenant", "100/s:200"];
        let more = ["--tenant-bytes-max", "10T", "--tenant-uploads-open-max", "64"];
        let limits = config(&[flags, more].concat()).limits;
        assert_eq!(
            (limits.quota.bytes_max, limits.quota.uploads_open_max),
            (Some(10 << 40), Some(64))
        );
        assert_eq!(limits.rate_per_tenant, "100/s:200".parse().ok());
        assert_eq!(limits.rate_per_address, None);
    }
}
