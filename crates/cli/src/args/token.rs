//! The arguments of `reelway token`.

use clap::{Args, Subcommand};
use reelway_auth::Scope;
use reelway_domain::{ApiKeyId, Failure, Tenant, TenantError};

use super::DatabaseArgs;
use crate::serve_args::HumanDuration;

/// The longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 100;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a key and print it. It is shown this once: the database keeps only a digest of it.
    Create {
        #[command(flatten)]
        key: NewKey,
        #[command(flatten)]
        args: TokenArgs,
    },
    /// List keys, those that have ended too.
    List {
        /// Only keys of this tenant.
        #[arg(long, value_name = "TENANT", value_parser = tenant)]
        tenant: Option<Tenant>,
        #[command(flatten)]
        args: TokenArgs,
    },
    /// End a key. Servers refuse it within five seconds.
    Revoke {
        /// The key's id: what stands before its last underscore.
        #[arg(value_name = "ID")]
        id: ApiKeyId,
        #[command(flatten)]
        args: TokenArgs,
    },
}

/// Where the keys are, and how they are shown.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A key that is to be made.
#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// Whose uploads and jobs the key is for. A tenant comes into being with its first key.
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub(crate) tenant: Tenant,
    /// What the key is for, to tell it from others.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: String,
    /// What it may do: uploads:read, uploads:write, jobs:read, jobs:write; repeat it for several, or put commas between them.
    #[arg(long, value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
    pub(crate) scope: Vec<Scope>,
    /// End it by itself so long from now, for example 30d [default: when it is revoked]
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<HumanDuration>,
}

impl TokenCommand {
    /// What all of them take.
    pub(crate) fn args(&self) -> &TokenArgs {
        match self {
            Self::Create { args, .. } | Self::List { args, .. } | Self::Revoke { args, .. } => args,
        }
    }
}

fn tenant(text: &str) -> Result<Tenant, TenantError> {
    Tenant::named(text)
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|failure: Failure| failure.message)
}

fn name(text: &str) -> Result<String, String> {
    let is_good = (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control);
    let refused = || format!("a name has 1 to {NAME_CHARS_MAX} characters, on one line");
    is_good.then(|| text.to_owned()).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_is_told_by_is_plain() {
        assert!(name("ingest of the east").is_ok());
        assert!(name("").is_err() && name("a\nb").is_err() && name(&"x".repeat(101)).is_err());
        assert_eq!(scope("jobs:read"), Ok(Scope::JobsRead));
        assert!(scope("jobs").is_err_and(|message| message.contains("jobs:write")));
    }
}
