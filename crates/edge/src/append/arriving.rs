//! A request body on its way in: neither too slow nor in crumbs.

use std::{mem, time::Duration};

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use reelway_domain::limits;
use tokio::{
    runtime::Handle,
    task::yield_now,
    time::{Instant, timeout},
};

/// The slowest that a body may come, in bytes a second: a phone on a bad line is faster.
const RATE_BYTES_PER_SECOND_MIN: u64 = 512;
/// How long a body is waited for, in all, until its rate is looked at again.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Frames shorter than this are joined with what comes right after them: each chunk costs a message.
const JOINED_BYTES_MAX: usize = 64 << 10;
/// How much of a body that is of no use is read, so that the client gets to see the answer.
const DRAIN_BYTES_MAX: u64 = 1 << 20;
/// For how long.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What a body brings next.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Bytes, no more than a chunk may carry.
    Bytes(Bytes),
    /// The end, with trailers if there are any.
    End(Option<HeaderMap>),
    /// The connection broke.
    Cut,
    /// The client is there, and doesn't send.
    TooSlow,
}

/// A body that is being read. Dropped before its end, it is read on in the background for a while: a connection that is closed on
/// unread bytes is reset, and the client never sees why.
#[derive(Debug)]
pub(crate) struct Arriving {
    body: Body,
    /// What didn't fit into the last chunk, or came after it.
    rest: Bytes,
    ending: Option<Arrived>,
    idle_max: Duration,
    /// How many bytes are still to come, if the client has said so.
    announced: Option<u64>,
    pace: Pace,
    /// Its client sends it only when it is asked for (RFC 9110, section 10.1.1). Refused before that, it is left alone.
    awaits_continue: bool,
    /// Nothing more is to be read.
    is_over: bool,
    /// It is of no use and read on in the background. Dropped then, the runtime is going down, and no other will read it.
    is_background: bool,
}

/// How fast a body came lately. Only the time in which it was waited for counts.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl From<Body> for Arriving {
    fn from(body: Body) -> Self {
        Self {
            announced: body.size_hint().exact(),
            is_over: false,
            is_background: false,
            body,
            rest: Bytes::new(),
            ending: None,
            idle_max: limits::STREAM_IDLE_MAX,
            pace: Pace::default(),
            awaits_continue: false,
        }
    }
}

impl Arriving {
    /// The body of a request with these headers.
    pub(crate) fn of(headers: &HeaderMap, body: Body) -> Self {
        let mut arriving = Self::from(body);
        arriving.awaits_continue = headers.contains_key(header::EXPECT);
        arriving
    }

    /// The same, cut off when nothing arrives for so long.
    pub(crate) fn idle_at_most(mut self, idle_max: Duration) -> Self {
        self.idle_max = idle_max;
        self
    }

    /// How many bytes are still to come; `None` if only the end will tell.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// Whether there is at least one byte. Waits for it, unless the client has said so before it is asked for it.
    pub(crate) async fn has_bytes(&mut self) -> bool {
        if self.awaits_continue || self.announced.is_some() {
            return self.announced != Some(0);
        }
        match self.next().await {
            Arrived::Bytes(data) => {
                self.rest = data;
                true
            }
            ending => {
                self.ending = Some(ending);
                false
            }
        }
    }

    /// Reads no more, also not in the background.
    pub(super) fn abandon(&mut self) {
        self.is_over = true;
    }

    /// What comes next; after an end, [`Arrived::Cut`].
    pub(crate) async fn next(&mut self) -> Arrived {
        if self.rest.is_empty() {
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            match self.frame().await {
                Arrived::Bytes(data) => self.rest = data,
                ending => return ending,
            }
            if self.rest.len() < JOINED_BYTES_MAX {
                self.join().await;
            }
        }
        let length = self.rest.len().min(limits::CHUNK_BYTES_MAX);
        Arrived::Bytes(self.rest.split_to(length))
    }

    /// Adds what is there already, or comes as soon as the connection is read again.
    async fn join(&mut self) {
        let mut joined = BytesMut::new();
        let mut has_yielded = false;
        while self.rest.len() + joined.len() < JOINED_BYTES_MAX {
            match self.frame().now_or_never() {
                Some(Arrived::Bytes(data)) => {
                    joined.extend_from_slice(&mem::take(&mut self.rest));
                    joined.extend_from_slice(&data);
                    has_yielded = false;
                }
                Some(ending) => {
                    self.ending = Some(ending);
                    break;
                }
                None if has_yielded => break,
                None => {
                    yield_now().await;
                    has_yielded = true;
                }
            }
        }
        if !joined.is_empty() {
            self.rest = joined.freeze();
        }
    }

    async fn frame(&mut self) -> Arrived {
        if self.is_over {
            return Arrived::Cut;
        }
        self.awaits_continue = false;
        let arrived = loop {
            let asked = Instant::now();
            let frame = timeout(self.idle_max, self.body.frame()).await;
            self.pace.waited += asked.elapsed();
            break match frame {
                Err(_) => Arrived::TooSlow,
                // The connection was given up from this side.
                Ok(None) if self.announced.is_some_and(|left| left > 0) => Arrived::Cut,
                Ok(None) => Arrived::End(None),
                Ok(Some(Err(_))) => Arrived::Cut,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => {
                        let length = data.len() as u64;
                        self.announced = self.announced.map(|left| left.saturating_sub(length));
                        if self.pace.is_fast_enough(length) {
                            Arrived::Bytes(data)
                        } else {
                            Arrived::TooSlow
                        }
                    }
                    Err(frame) => Arrived::End(frame.into_trailers().ok()),
                },
            };
        };
        self.is_over = !matches!(arrived, Arrived::Bytes(_));
        arrived
    }

    /// Reads what still comes, within bounds.
    async fn drain(mut self) {
        let mut left = DRAIN_BYTES_MAX;
        let draining = async {
            while left > 0
                && let Arrived::Bytes(data) = self.frame().await
            {
                left = left.saturating_sub(data.len() as u64);
            }
        };
        let _ = timeout(DRAIN_MAX, draining).await;
        self.abandon();
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.is_over || self.is_background || self.awaits_continue || self.body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let mut rest = Self::from(mem::take(&mut self.body));
            rest.is_background = true;
            runtime.spawn(rest.drain());
        }
    }
}

impl Pace {
    /// Counts what arrived, and says whether that was enough for the time that it took.
    fn is_fast_enough(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        if self.waited < RATE_WINDOW {
            return true;
        }
        let lately = mem::take(self);
        lately.bytes / lately.waited.as_secs().max(1) >= RATE_BYTES_PER_SECOND_MIN
    }
}

#[cfg(test)]
mod tests;
