//! The same as messages of a WebSocket: each is a `WatchProgressResponse` in canonical proto3 JSON, so its token is in
//! `resumeToken`. `?resume_token=` goes on after one. [`Close`] lists how it ends.

use std::time::Duration;

use axum::{
    Error,
    extract::{
        FromRequestParts,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, request::Parts};
use reelway::v1::{WatchProgressResponse, watch_progress_request::Target};
use reelway_domain::{Failure, Reason};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::Instrument as _;

use super::{Asked, Pace, close::Close, gauge::Counted, origin, token, watch::Watch};
use crate::{Edge, api::json, problem::Problem};

/// The parameter of the query that goes on after a message.
const RESUME_TOKEN_PARAMETER: &str = "resume_token";
/// The largest message that a client may send, in bytes. Nothing that it says is wanted.
const HEARD_BYTES_MAX: usize = 4 << 10;
/// So many messages may come between two pings.
const HEARD_MAX: u32 = 256;
/// The largest message that is told, in bytes: a snapshot of everything in which each letter is escaped.
const TOLD_BYTES_MAX: usize = 16 << 20;
/// Room for a message that had to be waited for so long was made by a peer that reads.
const WAITED_MIN: Duration = Duration::from_millis(100);
/// A peer that doesn't close its side by then is left alone.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Which version of the protocol is spoken, for who speaks another (RFC 6455, section 4.4).
const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("sec-websocket-version"),
    HeaderValue::from_static("13"),
);

/// The handshake, or what is wrong with it.
pub(super) struct Upgrade(Result<WebSocketUpgrade, WebSocketUpgradeRejection>);

impl FromRequestParts<Edge> for Upgrade {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Self::Rejection> {
        Ok(Self(WebSocketUpgrade::from_request_parts(parts, edge).await))
    }
}

/// Answers a handshake. Whatever is wrong with what is asked for is said by closing: a browser doesn't show its script more of a
/// refused handshake than that it failed.
pub(super) fn answer(asked: Asked, target: Target, Upgrade(upgrade): Upgrade, pace: Pace) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return not_a_handshake(&rejection),
    };
    if !origin::is_allowed(&asked) {
        let message = "pages of this origin may not connect; the server's configuration lists those that may";
        return Problem(Failure::new(Reason::PermissionMissing, message)).into_response();
    }
    let mut upgrade = upgrade
        .max_message_size(HEARD_BYTES_MAX)
        .max_frame_size(HEARD_BYTES_MAX)
        // Each message is written out before the next is asked for.
        .write_buffer_size(0)
        .max_write_buffer_size(TOLD_BYTES_MAX);
    // There is only one thing to speak, whatever it is called. A browser that offers names wants one of them back.
    let offered = upgrade.requested_protocols().next().cloned();
    if let Some(protocol) = offered {
        upgrade.set_selected_protocol(protocol);
    }
    upgrade.on_upgrade(move |socket| serve(socket, asked, target, pace).in_current_span())
}

fn not_a_handshake(rejection: &WebSocketUpgradeRejection) -> Response {
    let message = format!("this address takes handshakes of WebSockets only: {rejection}");
    let mut response = Problem(Failure::new(Reason::FieldInvalid, message)).into_response();
    response.headers_mut().extend([VERSION]);
    response
}

async fn serve(mut socket: WebSocket, asked: Asked, target: Target, pace: Pace) {
    let _counted = Counted::one("socket");
    let told = match begin(&asked, target).await {
        Ok(watch) => tell(&mut socket, watch, pace).await,
        Err(failure) => Gone::closing(&failure),
    };
    // Whether the peer hears it or not, it is over.
    let _ = timeout(CLOSE_MAX, say_goodbye(&mut socket, told)).await;
}

async fn begin(asked: &Asked, target: Target) -> Result<Watch, Failure> {
    let resume_token = token::read(asked.parameter(RESUME_TOKEN_PARAMETER).as_deref())?;
    Watch::open(asked, target, resume_token).await
}

/// How a connection comes to its end.
enum Gone {
    /// We close it.
    Closing(Close),
    /// The peer has closed it.
    Left,
    /// The peer can't be reached any more.
    Lost,
}

impl Gone {
    fn closing(failure: &Failure) -> Self {
        if failure.reason == Reason::Internal {
            tracing::error!(message = failure.message, "a watch over a websocket failed");
        }
        Self::Closing(failure.into())
    }
}

/// Tells until the end.
async fn tell(socket: &mut WebSocket, watch: Watch, pace: Pace) -> Gone {
    match tell_on(socket, watch, pace).await {
        Ok(close) => Gone::Closing(close),
        Err(gone) => gone,
    }
}

async fn tell_on(socket: &mut WebSocket, mut watch: Watch, pace: Pace) -> Result<Close, Gone> {
    let mut ping = interval(pace.ping_every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    let (mut is_there, mut heard) = (true, 0);
    loop {
        tokio::select! {
            told = watch.next() => match told {
                Ok(Some(told)) => {
                    if send(socket, text(&told)?, pace).await? >= WAITED_MIN {
                        // Its answer to the last ping lies behind all that it had not read yet.
                        is_there = true;
                        ping.reset();
                    }
                }
                Ok(None) => return Ok(Close::AllTold),
                Err(failure) => return Err(Gone::closing(&failure)),
            },
            said = socket.recv() => {
                hear(said.as_ref())?;
                is_there = true;
                heard += 1;
                if heard > HEARD_MAX {
                    return Ok(Close::TooTalkative);
                }
            }
            _ = ping.tick() => {
                if !is_there {
                    return Ok(Close::PingUnanswered);
                }
                (is_there, heard) = (false, 0);
                send(socket, Message::Ping(Bytes::new()), pace).await?;
            }
        }
    }
}

fn text(told: &WatchProgressResponse) -> Result<Message, Gone> {
    let json = json::of("WatchProgressResponse", told).map_err(|failure| Gone::closing(&failure))?;
    Ok(Message::Text(json.into()))
}

/// Writes a message out; gives how long that took. While the peer takes nothing this waits, and nothing else is asked for.
async fn send(socket: &mut WebSocket, message: Message, pace: Pace) -> Result<Duration, Gone> {
    let begun = Instant::now();
    match timeout(pace.send_max, socket.send(message)).await {
        Ok(Ok(())) => Ok(begun.elapsed()),
        Ok(Err(_)) | Err(_) => Err(Gone::Lost),
    }
}

/// Whatever the peer says means only that it is there.
fn hear(said: Option<&Result<Message, Error>>) -> Result<(), Gone> {
    match said {
        Some(Ok(Message::Close(_))) => Err(Gone::Left),
        Some(Ok(_)) => Ok(()),
        // Too large, or no message at all. Of a connection that is gone this is found out when it is told so.
        Some(Err(_)) => Err(Gone::Closing(Close::Unreadable)),
        None => Err(Gone::Lost),
    }
}

/// Closes, and waits until the peer has: a connection that is dropped with bytes unread is reset, and what was said last is lost.
async fn say_goodbye(socket: &mut WebSocket, gone: Gone) -> Result<(), Error> {
    match gone {
        Gone::Closing(close) => socket.send(Message::Close(Some(close.frame()))).await?,
        Gone::Left => {}
        Gone::Lost => return Ok(()),
    }
    while let Some(said) = socket.recv().await {
        said?;
    }
    Ok(())
}
