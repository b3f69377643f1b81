//! The arguments of `reelway store`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::serve_args::{HumanDuration, ServeArgs};

/// Long enough for everything that is still being written, and for somebody to notice a database that was set back.
const LEFTOVER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// List what a bucket holds that the catalog doesn't need. Works beside running servers, which remove it after a while.
    Leftovers(Box<LeftoversArgs>),
}

/// What `reelway store leftovers` takes: what the node is started with, too.
#[derive(Debug, Args)]
pub(crate) struct LeftoversArgs {
    /// Pass over what is younger than this, for example 36h [default: 7d]
    #[arg(long, value_name = "DURATION")]
    older_than: Option<HumanDuration>,
    /// Remove what is listed, but for what lies where Reelway writes nothing.
    #[arg(long)]
    pub(crate) remove: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

impl LeftoversArgs {
    /// How old a leftover is at least.
    pub(crate) fn age_min(&self) -> Duration {
        self.older_than.map_or(LEFTOVER_AGE, |age| age.0)
    }
}

impl StoreCommand {
    /// Whether the result is to be JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        let Self::Leftovers(args) = self;
        args.json
    }
}
