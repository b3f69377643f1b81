//! Deliveries under way, so many at a time, and so many to one host: one that is slow doesn't keep the others waiting.

use std::{collections::HashMap, time::Duration};

use tokio::task::{self, JoinError, JoinSet};

/// Deliveries under way in one process.
const FLIGHTS_MAX: usize = 32;
/// Of these, to one host. Their ratio is how many busy hosts there can be.
const FLIGHTS_PER_HOST_MAX: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Flights {
    tasks: JoinSet<()>,
    hosts: HashMap<task::Id, String>,
}

impl Flights {
    /// Whether another one may start.
    pub(super) fn has_room(&self) -> bool {
        self.hosts.len() < FLIGHTS_MAX
    }

    /// The hosts that may not have another one now.
    pub(super) fn busy_hosts(&self) -> Vec<&str> {
        let mut counts = HashMap::<&str, usize>::new();
        for host in self.hosts.values() {
            *counts.entry(host).or_default() += 1;
        }
        counts.retain(|_, count| *count >= FLIGHTS_PER_HOST_MAX);
        counts.into_keys().collect()
    }

    /// Starts one.
    pub(super) fn start(&mut self, host: String, flight: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(flight);
        self.hosts.insert(task.id(), host);
    }

    /// Waits until one has ended; for ever if there is none.
    pub(super) async fn landed(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(landed) => self.forget(landed),
            None => std::future::pending().await,
        }
    }

    /// Waits for all, at most so long. Those that are left are broken off.
    pub(super) async fn land_all(mut self, wait_max: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(wait_max, all).await.is_err() {
            tracing::info!(
                count = self.tasks.len(),
                "webhook deliveries are broken off and will be repeated"
            );
        }
    }

    fn forget(&mut self, landed: Result<(task::Id, ()), JoinError>) {
        let id = match landed {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a webhook delivery ended in disorder and will be repeated");
                error.id()
            }
        };
        self.hosts.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_host_has_a_share_only() {
        let mut flights = Flights::default();
        let (land, landing) = oneshot::channel::<()>();
        flights.start("slow".to_owned(), async { drop(landing.await) });
        for _ in 1..FLIGHTS_PER_HOST_MAX {
            assert_eq!(flights.busy_hosts(), [""; 0]);
            flights.start("slow".to_owned(), std::future::pending());
        }
        assert_eq!(flights.busy_hosts(), ["slow"]);
        assert!(flights.has_room());
        land.send(()).unwrap();
        flights.landed().await;
        assert_eq!(flights.busy_hosts(), [""; 0]);
        // One that panics makes room like any other.
        flights.start("slow".to_owned(), async { panic!("on purpose") });
        flights.landed().await;
        assert_eq!(flights.busy_hosts(), [""; 0]);
        flights.land_all(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn all_together_are_bounded() {
        let mut flights = Flights::default();
        for number in 0..FLIGHTS_MAX {
            assert!(flights.has_room());
            flights.start(number.to_string(), std::future::pending());
        }
        assert!(!flights.has_room());
    }
}
