//! What runs side by side in a process.

use tokio::task::{JoinError, JoinSet};

use super::stop::Stop;
use crate::error::CliError;

type Ended = (&'static str, Result<(), String>);

/// The parts that run. When one of them fails, all stop: half a process is worse than a restart.
pub(super) struct Running {
    parts: JoinSet<Ended>,
    /// What goes on until all parts have ended.
    outlasting: JoinSet<Ended>,
    stop: Stop,
}

impl Running {
    /// Nothing yet.
    pub(super) fn new(stop: Stop) -> Self {
        Self {
            parts: JoinSet::new(),
            outlasting: JoinSet::new(),
            stop,
        }
    }

    /// Runs a part, which ends when it is time to stop.
    pub(super) fn spawn<E: std::fmt::Display + 'static>(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.parts.spawn(named(name, part));
    }

    /// Runs a part that can't fail.
    pub(super) fn endless(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.spawn(name, infallible(part));
    }

    /// Runs a part that ends with [`Stop::last`], when all others have.
    pub(super) fn outlast<E: std::fmt::Display + 'static>(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.outlasting.spawn(named(name, part));
    }

    /// The same for a part that can't fail.
    pub(super) fn outlast_endless(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.outlast(name, infallible(part));
    }

    /// Waits until everything has ended, which is an error unless somebody asked for it.
    pub(super) async fn wait(mut self) -> Result<(), CliError> {
        let mut result = Ok(());
        while !self.parts.is_empty() {
            let ended = tokio::select! {
                Some(ended) = self.parts.join_next() => self.judge(ended, self.stop.draining.is_cancelled()),
                Some(ended) = self.outlasting.join_next() => self.judge(ended, false),
            };
            result = result.and(ended);
        }
        self.stop.last.cancel();
        while let Some(ended) = self.outlasting.join_next().await {
            result = result.and(self.judge(ended, true));
        }
        result
    }

    fn judge(&self, ended: Result<Ended, JoinError>, may_end: bool) -> Result<(), CliError> {
        let failure = match ended {
            Ok((_, Ok(()))) if may_end => return Ok(()),
            Ok((name, Ok(()))) => format!("{name} ended without being asked to"),
            Ok((name, Err(error))) => format!("{name} failed: {error}"),
            Err(error) => format!("a part panicked: {error}"),
        };
        tracing::error!(failure, "stopping");
        self.stop.now();
        Err(CliError::failed("ROLE_FAILED", failure))
    }
}

async fn named<E: std::fmt::Display>(name: &'static str, part: impl Future<Output = Result<(), E>>) -> Ended {
    (name, part.await.map_err(|error| error.to_string()))
}

async fn infallible(part: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    part.await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_failure_stops_all_and_the_last_end_last() {
        let stop = Stop::default();
        let mut running = Running::new(stop.clone());
        running.endless("waits", stop.shutdown.clone().cancelled_owned());
        running.outlast_endless("answers", stop.last.clone().cancelled_owned());
        running.spawn("breaks", async { Err("broken") });
        let error = running.wait().await.expect_err("a failure");
        assert_eq!(error.message, "breaks failed: broken");
        assert!(stop.last.is_cancelled());
    }

    #[tokio::test]
    async fn an_end_that_was_asked_for_is_none() {
        let stop = Stop::default();
        let mut running = Running::new(stop.clone());
        running.endless("works", stop.draining.clone().cancelled_owned());
        running.endless("serves", stop.shutdown.clone().cancelled_owned());
        stop.now();
        running.wait().await.expect("the end");
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_a_failure() {
        let mut running = Running::new(Stop::default());
        running.endless("tires", async {});
        let error = running.wait().await.expect_err("a failure");
        assert_eq!(error.message, "tires ended without being asked to");
    }
}
