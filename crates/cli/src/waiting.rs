//! What may happen while somebody waits: Ctrl-C, and nothing at all.

use std::{pin::pin, time::Duration};

use crate::{error::CliError, output::Output};

/// A person who hears nothing for longer wonders what goes on.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Runs `work` until it ends or somebody presses Ctrl-C. Whoever calls adds the hint how to go on.
pub(crate) async fn or_interrupt<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        Ok(()) = tokio::signal::ctrl_c() => Err(CliError::try_again("INTERRUPTED", "stopped by Ctrl-C")),
    }
}

/// Runs `work`, a few calls that take no time unless the server is away, and says so if they do.
pub(crate) async fn for_server<T>(server: &str, out: Output, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(SILENCE_MAX, &mut work).await {
        return done;
    }
    out.note(format_args!("waiting for the server at {server}"));
    work.await
}
