//! How long the head of an HTTP/1 request may take.
//!
//! hyper begins to wait when the last answer has ended, and knows one limit for everything from then on. But a connection that is
//! kept for the next request is no attack: proxies keep them for a minute, and lose requests if we close them earlier. So there
//! are two limits: one until the first byte, and one from that on. hyper asks its timer, and the wire says when bytes come.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use tokio::time::{Instant as TokioInstant, sleep_until};

/// How long the head of a request may take from its first byte on.
pub(super) const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request: longer than proxies do, which know when they use it.
pub(super) const KEPT_MAX: Duration = Duration::from_secs(75);

/// The clock of one connection. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct HeadClock(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    /// hyper waits for a head, and no byte of it has come.
    is_awaited: AtomicBool,
    /// The first wait is for the first request, which must come at once.
    is_first: AtomicBool,
}

impl HeadClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(Watched {
            is_awaited: AtomicBool::new(false),
            is_first: AtomicBool::new(true),
        }))
    }

    /// Bytes have come.
    pub(super) fn bytes_came(&self) {
        // Reading alone is cheaper, and most bytes are those of bodies.
        if self.0.is_awaited.load(Ordering::Relaxed) {
            self.0.is_awaited.store(false, Ordering::Relaxed);
        }
    }
}

/// hyper asks for times of heads only; of its deadlines none counts but ours.
impl Timer for HeadClock {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        let is_first = self.0.is_first.swap(false, Ordering::Relaxed);
        self.0.is_awaited.store(!is_first, Ordering::Relaxed);
        let limit = if is_first { HEAD_MAX } else { KEPT_MAX };
        Box::pin(Waiting {
            sleep: Box::pin(sleep_until(TokioInstant::now() + limit)),
            is_begun: is_first,
            clock: self.clone(),
        })
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(HEAD_MAX)
    }
}

/// Waits for as long as a head may take.
struct Waiting {
    sleep: Pin<Box<tokio::time::Sleep>>,
    /// The head has begun, and the shorter limit is set.
    is_begun: bool,
    clock: HeadClock,
}

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    /// Polled after each read that didn't complete the head.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_begun && !self.clock.0.is_awaited.load(Ordering::Relaxed) {
            self.is_begun = true;
            self.sleep.as_mut().reset(TokioInstant::now() + HEAD_MAX);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// How long a head may take that begins after so long.
    async fn limit(clock: &HeadClock, begins_after: Option<Duration>) -> Duration {
        let begun = TokioInstant::now();
        let mut waiting = clock.sleep_until(Instant::now());
        if let Some(after) = begins_after {
            let came = tokio::time::timeout(after, poll_fn(|cx| waiting.as_mut().poll(cx))).await;
            assert!(came.is_err(), "it may wait so long");
            clock.bytes_came();
        }
        waiting.await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_must_come_at_once_and_later_ones_may_wait() {
        let clock = HeadClock::new();
        assert_eq!(limit(&clock, None).await, HEAD_MAX);
        assert_eq!(limit(&clock, None).await, KEPT_MAX);
        let late = Duration::from_secs(60);
        assert_eq!(limit(&clock, Some(late)).await, late + HEAD_MAX);
    }
}
