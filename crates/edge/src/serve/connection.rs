//! One connection, from the handshake to its last answer.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reelway_rpc::{Accepted, ServerTls};
use tokio::{net::TcpStream, sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    head::{HEAD_MAX, HeadClock},
    http::{self, FIRST_REQUEST_MAX},
    slots::Slot,
    wire::{Speaks, Wire},
};
use crate::forwarded::Protected;

/// What all connections of a listener share. Clones are the same.
#[derive(Clone)]
pub(super) struct Shared {
    router: Router,
    tls: Option<ServerTls>,
    shutdown: CancellationToken,
}

/// A connection that was just accepted.
pub(super) struct Served {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: Slot,
}

impl Shared {
    pub(super) fn new(router: Router, tls: Option<ServerTls>, shutdown: CancellationToken) -> Self {
        Self { router, tls, shutdown }
    }

    /// Serves a connection to its end. What goes wrong with it is the client's business.
    pub(super) async fn serve(self, Served { stream, peer, slot }: Served) {
        let clock = HeadClock::new();
        let opening = async {
            let accepted = Accepted::take(stream, self.tls.as_ref()).await?;
            let is_tls = accepted.is_tls();
            let (wire, speaks) = Wire::open(accepted, clock.clone(), slot).await?;
            std::io::Result::Ok((wire, speaks, is_tls))
        };
        let opened = tokio::select! {
            opened = timeout(HEAD_MAX, opening) => opened,
            () = self.shutdown.cancelled() => return,
        };
        let (wire, speaks, is_tls) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "connection didn't begin"),
            Err(_) => return tracing::debug!(%peer, "connection didn't begin in time"),
        };
        let asked = Arc::new(Notify::new());
        let service = {
            let (router, asked) = (self.router.clone(), Arc::clone(&asked));
            service_fn(move |request| {
                asked.notify_one();
                answer(router.clone(), request, peer, is_tls)
            })
        };
        let wire = TokioIo::new(wire);
        let ended = match speaks {
            Speaks::Http1 => {
                let connection = http::http1(clock).serve_connection(wire, service).with_upgrades();
                self.drive(pin!(connection), http1::UpgradeableConnection::graceful_shutdown)
                    .await
            }
            Speaks::Http2 => {
                let mut connection = pin!(http::http2().serve_connection(wire, service));
                let begun = tokio::select! {
                    ended = &mut connection => Some(ended),
                    asked = timeout(FIRST_REQUEST_MAX, asked.notified()) => match asked {
                        Ok(()) => None,
                        Err(_) => return tracing::debug!(%peer, "no request in time"),
                    },
                    () = self.shutdown.cancelled() => None,
                };
                match begun {
                    Some(ended) => ended,
                    None => self.drive(connection, http2::Connection::graceful_shutdown).await,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    /// Serves until the connection ends; at shutdown it is told to end with the answers that are under way.
    async fn drive<C: Future>(&self, mut connection: Pin<&mut C>, end: fn(Pin<&mut C>)) -> C::Output {
        tokio::select! {
            ended = &mut connection => return ended,
            () = self.shutdown.cancelled() => {}
        }
        end(connection.as_mut());
        connection.await
    }
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    is_tls: bool,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Protected(is_tls));
    router.oneshot(request.map(Body::new)).await
}
