//! A body that comes piece by piece, and may never come to its end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Promises a length and sends what it is given. When the other end is dropped before that much was sent, the request is cut.
pub(crate) struct Trickle {
    left: u64,
    pieces: mpsc::UnboundedReceiver<Bytes>,
}

impl Trickle {
    /// A body of so many bytes, and where its pieces are put in.
    pub(crate) fn of(bytes: u64) -> (mpsc::UnboundedSender<Bytes>, Self) {
        let (sender, pieces) = mpsc::unbounded_channel();
        (sender, Self { left: bytes, pieces })
    }
}

impl Body for Trickle {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(cx).map(|piece| {
            let piece = piece.ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionAborted, "cut on purpose"));
            Some(piece.map(|bytes| {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Frame::data(bytes)
            }))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
