//! `reelway serve`: settings → node → run → drain.

mod auth;
mod check;
mod delivery;
mod limits;
mod node;
mod open_files;
mod own_store;
mod parts;
mod ports;
mod roles;
mod running;
mod start;
mod stop;
mod store_options;
mod store_url;
mod telemetry;
mod upstream;
mod vitals;
mod webhooks;

pub(crate) use self::{
    check::check,
    own_store::{Holds, expect_own_store},
    roles::tools_failure,
    start::{bus, catalog_failure, database_url},
    store_url::StoreUrl,
};
use self::{node::Node, stop::Stop};
use crate::{config::ServeConfig, error::CliError, exit::Exit};

/// Runs a node until SIGTERM or Ctrl-C.
///
/// # Errors
/// If the configuration can't work, or the node can't be put together.
pub(crate) async fn run(config: ServeConfig) -> Result<Exit, CliError> {
    check(&config)?;
    let telemetry = telemetry::start(&config)?;
    open_files::raise();
    let stop = Stop::default();
    stop.on_signal(config.lame_duck)?;
    let ended = match Node::open(config, telemetry.metrics, stop) {
        Ok(node) => node.run().await,
        Err(error) => Err(error),
    };
    telemetry.traces.shutdown().await;
    ended.map(|()| Exit::Done)
}
