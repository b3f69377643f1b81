//! Serving a router on a listener until it is time to stop.
//!
//! The accept loop is our own, for the limits: hyper has a timeout for headers that does nothing without a timer, none for the
//! first bytes, and counts no connections.

mod connection;
mod head;
mod http;
mod slots;
mod wire;

use std::{io, time::Duration};

use axum::Router;
use reelway_rpc::ServerTls;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::Network;
use connection::{Served, Shared};
use slots::{Refused, Slots};

/// A counter of connections that were closed at once, by the limit that they were over.
const REFUSED: &str = "reelway_http_connections_refused_total";
/// After the system had no room for a connection, it gets so long to make some.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What can be configured of connections.
#[derive(Debug, Clone)]
pub struct Connections {
    /// TLS, if it is wanted.
    pub tls: Option<ServerTls>,
    /// How many there may be.
    pub max: usize,
    /// How many there may be from one address, or from one network of 64 bits in IPv6.
    pub per_address_max: usize,
    /// Whose connections are those of many clients: they count only among all.
    pub proxies: Vec<Network>,
}

impl Connections {
    /// How many connections there may be, unless configured otherwise. An idle one takes some 20 KiB.
    pub const MAX: usize = 10_000;
    /// How many connections there may be from one address, unless configured otherwise: an office behind one address, where
    /// each browser has six.
    pub const PER_ADDRESS_MAX: usize = 512;
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            tls: None,
            max: Self::MAX,
            per_address_max: Self::PER_ADDRESS_MAX,
            proxies: Vec::new(),
        }
    }
}

/// Serves until `shutdown`; answers that are under way get `grace` to end.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Connections,
    shutdown: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let slots = Slots::new(&connections);
    let shared = Shared::new(router, connections.tls, shutdown.clone());
    let mut serving = JoinSet::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        // Those that have ended are forgotten.
        while serving.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "connections can't be accepted at the moment");
                sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        match slots.take(peer.ip().to_canonical()) {
            Ok(slot) => drop(serving.spawn(shared.clone().serve(Served { stream, peer, slot }))),
            Err(refused) => {
                let limit = match refused {
                    Refused::Full => "all",
                    Refused::FullForAddress => "address",
                };
                metrics::counter!(REFUSED, "limit" => limit).increment(1);
                tracing::debug!(%peer, limit, "connection refused");
            }
        }
    }
    drop(listener);
    let ended = async { while serving.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!(
            grace_ms = grace.as_millis(),
            "answers were still under way after the grace period"
        );
    }
    Ok(())
}

/// A client that has gone before it was accepted; the next one is waiting.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests;
