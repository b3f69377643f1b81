//! Server-Sent Events (HTML standard, section 9.2).
//!
//! | `event:` | `data:`, canonical proto3 JSON |
//! |---|---|
//! | `snapshot` | `ProgressSnapshot` |
//! | `event` | `JobEvent` |
//! | `sample` | `Progress` |
//! | `error` | a problem document (RFC 9457); the stream ends with it |
//!
//! `id:` is the resume token. A bookmark is a comment with an id and without data: a browser dispatches nothing and remembers
//! the id. When all is told the stream ends; a browser then comes back with its last id, hears 204 and stays away.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use prost::Message as Encoded;
use reelway::v1::{WatchProgressResponse, watch_progress_request::Target, watch_progress_response::Message};
use reelway_domain::{Failure, Reason};

use super::{Asked, gauge::Counted, token, watch::Watch};
use crate::{api::json, problem::Problem};

/// What a browser says by itself when it comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What anybody says who begins somewhere else, for a browser can't set the header.
const LAST_EVENT_ID_PARAMETER: &str = "last_event_id";
/// A browser whose stream has ended waits so long before it comes back.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// If nothing at all was sent for so long, an empty comment is. Bookmarks come more often, unless the service hangs.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Asks nginx, and those who do as it does, not to hold anything back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers a request for events.
pub(super) async fn answer(asked: Asked, target: Target) -> Response {
    let mut response = match begin(&asked, target).await {
        Ok(Some(watch)) => {
            let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_EVERY);
            Sse::new(told(watch)).keep_alive(keep_alive).into_response()
        }
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => Problem(failure).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// Begins to watch; `None` if the client has heard everything.
async fn begin(asked: &Asked, target: Target) -> Result<Option<Watch>, Failure> {
    let resume_token = token::read(last_event_id(asked).as_deref())?;
    let is_resumed = !resume_token.is_empty();
    let mut watch = Watch::open(asked, target, resume_token).await?;
    Ok((!is_resumed || !watch.is_over().await?).then_some(watch))
}

/// The last id that the client heard. A browser repeats its URL when it comes back, so its header is newer.
fn last_event_id(asked: &Asked) -> Option<String> {
    let header = header_text(&asked.headers, &LAST_EVENT_ID).filter(|id| !id.is_empty());
    header.or_else(|| asked.parameter(LAST_EVENT_ID_PARAMETER))
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    // What is no text is no token either, and is refused as one.
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// What is told, as long as somebody asks for it.
fn told(watch: Watch) -> impl Stream<Item = Result<Event, Infallible>> {
    let hello = stream::iter([Event::default().retry(RECONNECT_AFTER)]);
    let counted = Counted::one("events");
    let events = stream::unfold(Some((watch, counted)), async |state| {
        let (mut watch, counted) = state?;
        match watch.next().await.and_then(|next| next.as_ref().map(event).transpose()) {
            Ok(Some(event)) => Some((event, Some((watch, counted)))),
            Ok(None) => None,
            Err(failure) => Some((error(failure), None)),
        }
    });
    hello.chain(events).map(Ok)
}

fn event(told: &WatchProgressResponse) -> Result<Event, Failure> {
    let event = Event::default().id(token::write(&told.resume_token));
    let Some(message) = &told.message else {
        return Err(Failure::new(Reason::Internal, "a watch told nothing"));
    };
    match message {
        Message::Snapshot(snapshot) => with_data(event.event("snapshot"), "ProgressSnapshot", snapshot),
        Message::Event(change) => with_data(event.event("event"), "JobEvent", change),
        Message::Sample(progress) => with_data(event.event("sample"), "Progress", progress),
        Message::Bookmark(_) => Ok(event.comment("bookmark")),
    }
}

fn with_data(event: Event, name: &str, message: &impl Encoded) -> Result<Event, Failure> {
    Ok(event.data(json::of(name, message)?))
}

fn error(failure: Failure) -> Event {
    Event::default().event("error").data(Problem(failure).to_json())
}
