//! The arguments of `reelway tenants`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use reelway_catalog::Limit;
use reelway_domain::{Tenant, TenantError};

use super::DatabaseArgs;
use crate::byte_size::ByteSize;

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantsCommand {
    /// List all tenants with what they have and may have.
    List(TenantsArgs),
    /// Show a tenant.
    Get {
        #[command(flatten)]
        tenant: TenantName,
        #[command(flatten)]
        args: TenantsArgs,
    },
    /// Set what a tenant may have, also before its first upload. What it has already stays.
    Set {
        #[command(flatten)]
        tenant: TenantName,
        /// So many bytes in uploads, for example 10T; `none` for as many as it likes, `default` for what the servers' option
        /// --tenant-bytes-max says.
        #[arg(long, value_name = "BYTES")]
        bytes_max: Option<BytesLimit>,
        /// So many unfinished uploads at the same time; `none` and `default` as above.
        #[arg(long, value_name = "N")]
        uploads_open_max: Option<CountLimit>,
        #[command(flatten)]
        args: TenantsArgs,
    },
}

/// Where the tenants are, and how they are shown.
#[derive(Debug, Args)]
pub(crate) struct TenantsArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// One tenant.
#[derive(Debug, Args)]
pub(crate) struct TenantName {
    /// The tenant's name; without identities it is `default`.
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub(crate) name: Tenant,
}

fn parse_name(text: &str) -> Result<Tenant, TenantError> {
    Tenant::named(text)
}

impl TenantsCommand {
    /// What all of them take.
    pub(crate) fn args(&self) -> &TenantsArgs {
        match self {
            Self::List(args) | Self::Get { args, .. } | Self::Set { args, .. } => args,
        }
    }
}

/// A limit in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BytesLimit(pub(crate) Limit);

/// A limit in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountLimit(pub(crate) Limit);

impl FromStr for BytesLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = |text: &str| match text {
            "0" => Ok(0),
            text => text.parse().map(|ByteSize(bytes)| bytes),
        };
        limit(text, bytes).map(Self)
    }
}

impl FromStr for CountLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = |text: &str| {
            text.parse()
                .map_err(|_| "it must be a number, none or default".to_owned())
        };
        limit(text, count).map(Self)
    }
}

fn limit(text: &str, number: impl Fn(&str) -> Result<u64, String>) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit::NONE),
        "default" => Ok(Limit::Default),
        text => Ok(Limit::Max(i64::try_from(number(text)?).unwrap_or(i64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_word() {
        let bytes = |text: &str| text.parse::<BytesLimit>().map(|limit| limit.0);
        assert_eq!(bytes("10T"), Ok(Limit::Max(10 << 40)));
        assert_eq!(bytes("0"), Ok(Limit::Max(0)));
        assert_eq!((bytes("none"), bytes("default")), (Ok(Limit::NONE), Ok(Limit::Default)));
        assert!(bytes("much").is_err() && bytes("-1").is_err());
        let count = |text: &str| text.parse::<CountLimit>().map(|limit| limit.0);
        assert_eq!((count("64"), count("none")), (Ok(Limit::Max(64)), Ok(Limit::NONE)));
        assert!(count("1k").is_err());
    }
}
