//! Who a request comes from when there are proxies in between. What they say counts only if the peer is one that was named, for
//! anybody can write these headers.
//!
//! Each proxy adds whom it heard from at the right end, so the client is the rightmost address that is no trusted proxy.
//! `Forwarded` (RFC 7239) and `X-Forwarded-*` are both understood. A proxy that writes one of them may pass on the other as the
//! client sent it: where both say something and don't agree, neither counts.

mod network;
mod said;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};
use http::uri::{Authority, Scheme};
use reelway_auth::ClientAddr;

pub use network::Network;
use said::Said;

/// How the connection is protected; the accept loop puts it into every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protected(pub(crate) bool);

/// Under which address the client believes this server to be, as far as the connection and trusted proxies tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addressed {
    /// `https` behind TLS of this server or of a trusted proxy.
    pub(crate) scheme: Option<Scheme>,
    /// The host that the client named to a trusted proxy.
    pub(crate) host: Option<Authority>,
}

/// Leaves [`ClientAddr`] and [`Addressed`] in the request's extensions.
pub(crate) async fn layer(State(trusted): State<Arc<[Network]>>, mut request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip().to_canonical());
    let is_tls = request
        .extensions()
        .get::<Protected>()
        .is_some_and(|protected| protected.0);
    let mut addressed = Addressed {
        scheme: is_tls.then_some(Scheme::HTTPS),
        host: None,
    };
    if let Some(peer) = peer {
        let is_trusted = |ip| trusted.iter().any(|network| network.contains(ip));
        let mut client = peer;
        if is_trusted(peer) {
            let said = Said::by_proxies(request.headers(), peer, is_trusted);
            client = said.client;
            addressed.scheme = said.scheme.or(addressed.scheme);
            addressed.host = said.host;
        }
        request.extensions_mut().insert(ClientAddr(client));
    }
    request.extensions_mut().insert(addressed);
    next.run(request).await
}
