//! Configurations as the command line makes them.

use clap::Parser as _;

use super::{ConfigError, ServeConfig};
use crate::args::{Cli, Command};

/// What `reelway serve` with these flags runs with.
pub(crate) fn resolve(flags: &[&str]) -> Result<ServeConfig, ConfigError> {
    let cli = Cli::try_parse_from(["reelway", "serve"].iter().chain(flags)).expect("good flags");
    let Command::Serve(args) = cli.command else {
        panic!("it is another command")
    };
    ServeConfig::resolve(*args)
}

/// The same, without a file that could be wrong.
pub(crate) fn config(flags: &[&str]) -> ServeConfig {
    resolve(flags).expect("no file")
}
