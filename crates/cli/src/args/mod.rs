//! The command line.

mod client;
mod database;
mod resources;
mod store;
mod tenants;
mod token;
mod upload;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::{
    client::{ClientArgs, TOKEN, trust},
    database::{CopyArgs, DatabaseArgs, DbCommand, MigrateArgs},
    resources::{JobArgs, JobsCommand, UploadsCommand},
    store::StoreCommand,
    tenants::TenantsCommand,
    token::{NewKey, TokenCommand},
    upload::UploadArgs,
};
use crate::{ids::WatchId, serve_args::ServeArgs};

/// Takes in video of any size and turns it into streaming video.
#[derive(Debug, Parser)]
#[command(name = "reelway", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node: all roles in one process, or those that are named.
    Serve(Box<ServeArgs>),
    /// Upload files and wait until they can be streamed. Run it again to continue what was interrupted.
    Upload(UploadArgs),
    /// Follow an upload or a job to its end.
    Watch(WatchArgs),
    /// Look at jobs and steer them.
    Jobs {
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Look at uploads and give them up.
    Uploads {
        #[command(subcommand)]
        command: UploadsCommand,
    },
    /// Look at what tenants have, and set what they may have. Works on the database, beside running servers.
    Tenants {
        #[command(subcommand)]
        command: TenantsCommand,
    },
    /// Make API keys, list them and end them. Works on the database, beside running servers.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Bring the database to this release's schema.
    Migrate(MigrateArgs),
    /// Move the catalog to another database.
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Look after the bucket that keeps the bytes.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Ask a node on this machine whether it is ready: exit code 0 if it is, 1 if not. For health checks of containers.
    Health(HealthArgs),
    /// Look for what would keep a node from working here.
    Doctor(Box<DoctorArgs>),
    /// Print a script that completes this command's arguments in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

impl Command {
    /// Whether the result is to be JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Upload(args) => args.client.json,
            Self::Watch(args) => args.client.json,
            Self::Jobs { command } => command.client().json,
            Self::Uploads { command } => command.client().json,
            Self::Tenants { command } => command.args().json,
            Self::Token { command } => command.args().json,
            Self::Doctor(args) => args.json,
            Self::Store { command } => command.is_json(),
            Self::Serve(_) | Self::Migrate(_) | Self::Db { .. } | Self::Health(_) | Self::Completions { .. } => false,
        }
    }
}

/// What `reelway watch` takes.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// An upload's or a job's id.
    #[arg(value_name = "ID")]
    pub(crate) id: WatchId,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What `reelway health` takes.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The node's admin address; a wildcard stands for this machine.
    #[arg(long, value_name = "ADDR", env = "REELWAY_ADMIN", default_value = "127.0.0.1:9090")]
    pub(crate) admin: SocketAddr,
    /// Ask only whether the process lives.
    #[arg(long)]
    pub(crate) live: bool,
}

/// What `reelway doctor` takes: what the node would be started with, and where a running deployment is to be tried.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Try a running deployment too: a tiny video is uploaded, cut, resumed, encoded, fetched and removed
    #[arg(long)]
    pub(crate) e2e: bool,
    /// Look for proxies before the edge that hold bytes or events back: where clients reach it [default with --e2e: --public-url]
    #[arg(long, value_name = "URL", env = "REELWAY_EDGE_URL")]
    pub(crate) edge_url: Option<String>,
    /// Read the API key or token to show to the edge from this file. Without it, REELWAY_TOKEN is shown if it is set
    #[arg(long, value_name = "FILE", env = "REELWAY_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_of_serve_has_its_variable() {
        let cli = Cli::command();
        let serve = cli.find_subcommand("serve").expect("it is there");
        for option in serve
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(|l| l != "help" && l != "version"))
        {
            let long = option.get_long().expect("filtered by it");
            let variable = format!("REELWAY_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(
                option.get_env().and_then(|name| name.to_str()),
                Some(&*variable),
                "--{long}"
            );
        }
    }
}
