//! The `reelway` command: arguments, configuration, and putting a node together.

mod args;
mod bars;
mod beside;
mod byte_size;
mod completions;
mod config;
mod db;
mod doctor;
mod error;
mod exit;
mod health;
mod ids;
mod jobs;
mod json;
mod list;
mod migrate;
mod output;
mod secret;
mod serve;
mod serve_args;
mod store;
mod table;
mod tenants;
mod token;
mod upload;
mod uploads;
mod waiting;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Cli, Command},
    config::ServeConfig,
    error::CliError,
    exit::Exit,
    output::Output,
};

/// Message buffers of a few hundred KiB are dear with the allocator of glibc, which maps and unmaps each of them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's settings, read by it at the start. By default it keeps freed pages for 10 s: with 64 uploads at once that is a
/// third of all memory. The text ends with NUL, because it is read as a C string.
// SAFETY: jemalloc declares this symbol as a pointer to a C string, and reads no more of the slice than its pointer.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8] = b"dirty_decay_ms:200,muzzy_decay_ms:0\0";

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    let out = Output {
        is_json: command.is_json(),
    };
    let end = run(command, out).await.unwrap_or_else(|error| {
        out.error(&error);
        error.exit
    });
    end.into()
}

async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Serve(args) => serve::run(ServeConfig::resolve(*args)?).await,
        Command::Upload(args) => upload::run(&args, out).await,
        Command::Watch(args) => watch::run(&args, out).await,
        Command::Jobs { command } => {
            let endpoints = command.client().endpoints();
            waiting::for_server(&endpoints.jobs, out, jobs::run(command, out)).await
        }
        Command::Uploads { command } => {
            let endpoints = command.client().endpoints();
            waiting::for_server(&endpoints.upload, out, uploads::run(command, out)).await
        }
        Command::Tenants { command } => tenants::run(command, out).await,
        Command::Token { command } => token::run(command, out).await,
        Command::Migrate(args) => migrate::run(args, out).await,
        Command::Db { command } => db::run(command, out).await,
        Command::Store { command } => store::run(command, out).await,
        Command::Health(args) => health::run(&args, out).await,
        Command::Doctor(args) => doctor::run(*args, out).await,
        Command::Completions { shell } => completions::run(shell, out),
    }
}
