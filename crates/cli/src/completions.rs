//! `reelway completions`: scripts for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{args::Cli, error::CliError, exit::Exit, output::Output};

/// Prints the script.
pub(crate) fn run(shell: Shell, out: Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reelway", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}
