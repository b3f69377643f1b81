//! How a process stops: it says so, waits until everybody has heard, ends what it serves, and only then stops answering
//! probes.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::CliError;

/// The stages of stopping. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    /// No new work is begun, and health says NOT_SERVING; calls are still taken.
    pub(super) draining: CancellationToken,
    /// What is served ends.
    pub(super) shutdown: CancellationToken,
    /// Everything else has ended.
    pub(super) last: CancellationToken,
}

impl Stop {
    /// Stops at the first signal, with so long between saying so and doing it, and ends the process at the second: whoever
    /// asks twice doesn't want to wait.
    pub(super) fn on_signal(&self, lame_duck: Duration) -> Result<(), CliError> {
        let failed = |error| CliError::failed("SIGNALS", format!("signals can't be handled: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!(
                lame_duck_ms = lame_duck.as_millis(),
                "stopping; a second signal stops at once"
            );
            tokio::spawn(async move {
                stop.draining.cancel();
                tokio::time::sleep(lame_duck).await;
                stop.shutdown.cancel();
            });
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(1);
        });
        Ok(())
    }

    /// Ends what is served without waiting until everybody has heard.
    pub(super) fn now(&self) {
        self.draining.cancel();
        self.shutdown.cancel();
    }
}
