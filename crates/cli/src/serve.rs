//! `reelway serve`: settings → node → run → drain.

mod check;
mod node;
mod telemetry;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::node::Node;
pub(crate) use self::{
    check::{check, database_url, store_dir},
    node::{open_catalog, tools_failure},
};
use crate::{config::ServeConfig, error::CliError, exit::Exit};

/// Runs a node until SIGTERM or Ctrl-C.
///
/// # Errors
/// If the configuration can't work, or the node can't be put together.
pub(crate) async fn run(config: ServeConfig) -> Result<Exit, CliError> {
    check(&config)?;
    let metrics = telemetry::start(&config)?;
    let shutdown = CancellationToken::new();
    stop_on_signal(shutdown.clone())?;
    let node = Node::build(config, metrics, shutdown.clone()).await?;
    node.run().await?;
    Ok(Exit::Done)
}

/// Cancels the token at the first signal and ends the process at the second: whoever asks twice doesn't want to wait.
fn stop_on_signal(shutdown: CancellationToken) -> Result<(), CliError> {
    let failed = |error| CliError::failed("SIGNALS", format!("signals can't be handled: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping; a second signal stops at once");
        shutdown.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(())
}
