//! Progress as it happens, for browsers: as Server-Sent Events, and over a WebSocket.
//!
//! Both tell the messages of WatchProgress in its order, with the tokens that resume it. A browser that reads slowly is not
//! queued for: what it doesn't take stays in the socket, and from there on back to the service nobody asks for the next
//! message, so the service merges what it has to tell (invariants 8 and 10).

mod close;
mod events;
mod gauge;
mod origin;
mod socket;
mod token;
mod watch;

use std::time::Duration;

use axum::{
    Router,
    extract::{FromRequestParts, Path, rejection::PathRejection},
    routing::{any, get},
};
use http::{HeaderMap, request::Parts};
use reelway::v1::watch_progress_request::Target;

use crate::{Edge, caller::Caller, cors::Granted, origin::Origin};

/// How often what happens without a cause happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A WebSocket's peer is asked so often whether it is still there. Who hasn't answered by the next time, is not.
    pub(crate) ping_every: Duration,
    /// A WebSocket's peer that takes nothing for so long is given up; it may come back with its last token.
    pub(crate) send_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // Less than the 60 s after which many proxies cut what is quiet.
            ping_every: Duration::from_secs(20),
            send_max: Duration::from_secs(60),
        }
    }
}

/// What can be watched, and under which paths.
const WATCHED: [(Named, &str, &str); 3] = [
    (Target::JobId, "/v1/jobs/{id}/events", "/v1/jobs/{id}/ws"),
    (Target::UploadId, "/v1/uploads/{id}/events", "/v1/uploads/{id}/ws"),
    (|_| Target::Everything(()), "/v1/events", "/v1/ws"),
];

/// Makes a target of the id in the path, if there is one.
type Named = fn(String) -> Target;

/// The routes.
pub(crate) fn routes() -> Router<Edge> {
    routes_at(Pace::default())
}

/// The routes at a pace.
pub(crate) fn routes_at(pace: Pace) -> Router<Edge> {
    let mut router = Router::new();
    for (named, events, socket) in WATCHED {
        let events_here = async move |Id(id): Id, asked: Asked| events::answer(asked, named(id)).await;
        // A GET over HTTP/1, an extended CONNECT over HTTP/2.
        let socket_here = async move |Id(id): Id, asked: Asked, upgrade: socket::Upgrade| {
            socket::answer(asked, named(id), upgrade, pace)
        };
        router = router.route(events, get(events_here)).route(socket, any(socket_here));
    }
    router
}

/// What both ways to watch need of a request.
#[derive(Debug)]
struct Asked {
    edge: Edge,
    caller: Caller,
    /// Under which address the client knows this server.
    origin: Origin,
    /// It comes from a page of another origin that may call.
    is_granted: bool,
    headers: HeaderMap,
    query: String,
}

impl Asked {
    /// A parameter of the query.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = url::form_urlencoded::parse(self.query.as_bytes());
        parameters.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
}

impl FromRequestParts<Edge> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Self::Rejection> {
        let Ok(origin) = Origin::from_request_parts(parts, edge).await;
        Ok(Self {
            edge: edge.clone(),
            origin,
            is_granted: parts.extensions.get::<Granted>().is_some(),
            caller: Caller::of(&parts.headers, parts.uri.query()),
            headers: parts.headers.clone(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
        })
    }
}

/// The id in the path; empty if there is none, or none that is a text: the service says what is wrong with it.
struct Id(String);

impl FromRequestParts<Edge> for Id {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Self::Rejection> {
        let found: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, edge).await;
        Ok(Self(found.map_or_else(|_| String::new(), |Path(id)| id)))
    }
}

#[cfg(test)]
mod tests;
