use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, stream};
use http::HeaderValue;
use http_body::{Frame, SizeHint};
use tokio::time::sleep;

use super::*;
use crate::testing::until;

fn frames(frames: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>) -> Body {
    Body::from_stream(stream::iter(frames.into_iter().map(Ok::<_, Infallible>)))
}

/// Frames of so many bytes, so far apart.
fn ticking(bytes: usize, every: Duration) -> Body {
    let frame = move || async move {
        sleep(every).await;
        Some((Ok::<_, Infallible>(Bytes::from(vec![0; bytes])), ()))
    };
    Body::from_stream(stream::unfold((), move |()| frame()))
}

/// A body that ends where it likes, whatever length was announced.
struct Ends {
    data: Option<Bytes>,
    announced: u64,
}

impl http_body::Body for Ends {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

async fn bytes(arriving: &mut Arriving) -> Bytes {
    match arriving.next().await {
        Arrived::Bytes(data) => data,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn crumbs_are_joined() {
    let mut arriving = Arriving::from(frames((0..10_000).map(|_| Bytes::from_static(b"abc"))));
    assert_eq!(bytes(&mut arriving).await.len(), 30_000);
    assert!(matches!(arriving.next().await, Arrived::End(None)));
    assert!(matches!(arriving.next().await, Arrived::Cut), "once");
}

#[tokio::test]
async fn large_frames_are_handed_on_as_they_are() {
    let frame = Bytes::from(vec![7; 400 << 10]);
    let mut arriving = Arriving::from(frames([frame.clone()]));
    let handed_on = bytes(&mut arriving).await;
    assert_eq!(
        (handed_on.as_ptr(), handed_on.len()),
        (frame.as_ptr(), frame.len()),
        "not copied"
    );
}

#[tokio::test]
async fn a_frame_is_cut_to_what_a_chunk_may_carry() {
    let mut arriving = Arriving::from(frames([Bytes::from(vec![7; limits::CHUNK_BYTES_MAX + 5])]));
    assert_eq!(bytes(&mut arriving).await.len(), limits::CHUNK_BYTES_MAX);
    assert_eq!(bytes(&mut arriving).await.len(), 5);
    assert!(matches!(arriving.next().await, Arrived::End(None)));
}

#[tokio::test(start_paused = true)]
async fn c19_silence_ends_a_body() {
    let mut arriving = Arriving::from(ticking(1 << 20, Duration::from_secs(20)));
    for _ in 0..5 {
        bytes(&mut arriving).await;
    }
    let mut arriving = Arriving::from(ticking(1 << 20, Duration::from_secs(20))).idle_at_most(Duration::from_secs(19));
    assert!(matches!(arriving.next().await, Arrived::TooSlow));
}

#[tokio::test(start_paused = true)]
async fn r28_so_does_a_trickle() {
    let second = Duration::from_secs(1);
    let mut arriving = Arriving::from(ticking(500, second));
    let begin = Instant::now();
    while let Arrived::Bytes(_) = arriving.next().await {}
    assert!(
        (RATE_WINDOW..2 * RATE_WINDOW).contains(&begin.elapsed()),
        "{:?}",
        begin.elapsed()
    );
    let mut arriving = Arriving::from(ticking(600, second));
    for _ in 0..1000 {
        bytes(&mut arriving).await;
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_slowness_is_not_the_clients() {
    let mut arriving = Arriving::from(frames((0..10).map(|_| Bytes::from(vec![0; JOINED_BYTES_MAX]))));
    for _ in 0..10 {
        bytes(&mut arriving).await;
        sleep(Duration::from_secs(3600)).await;
    }
}

#[tokio::test]
async fn a_body_that_ends_too_early_was_cut() {
    let ends = |announced| Ends {
        data: Some(Bytes::from_static(b"abc")),
        announced,
    };
    let mut arriving = Arriving::from(Body::new(ends(4)));
    assert_eq!(arriving.announced(), Some(4));
    assert_eq!(bytes(&mut arriving).await, "abc");
    assert!(matches!(arriving.next().await, Arrived::Cut));
    let mut arriving = Arriving::from(Body::new(ends(3)));
    assert_eq!(bytes(&mut arriving).await, "abc");
    assert!(matches!(arriving.next().await, Arrived::End(None)));
}

#[tokio::test]
async fn whether_there_is_anything() {
    assert!(!Arriving::from(Body::empty()).has_bytes().await);
    assert!(!Arriving::from(frames([])).has_bytes().await);
    let mut arriving = Arriving::from(frames([Bytes::from_static(b"abc")]));
    assert!(arriving.has_bytes().await);
    assert_eq!(bytes(&mut arriving).await, "abc", "nothing is lost");
}

/// A body without end, and how many of its frames were read.
fn counted() -> (Body, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let frames = stream::repeat_with(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(vec![0; 64 << 10]))
    });
    (Body::from_stream(frames.take(1000)), read)
}

#[tokio::test]
async fn what_is_of_no_use_is_read_within_bounds() {
    let (body, read) = counted();
    drop(Arriving::from(body));
    until(async || read.load(Ordering::Relaxed) >= 16).await;
    tokio::task::yield_now().await;
    assert_eq!(read.load(Ordering::Relaxed), 16, "1 MiB");

    let (body, read) = counted();
    let mut arriving = Arriving::from(body);
    arriving.abandon();
    drop(arriving);
    let (body, unasked) = counted();
    let headers = HeaderMap::from_iter([(header::EXPECT, HeaderValue::from_static("100-continue"))]);
    drop(Arriving::of(&headers, body));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!((read.load(Ordering::Relaxed), unasked.load(Ordering::Relaxed)), (0, 0));
}
