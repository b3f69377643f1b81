//! The bytes of a connection, with those first that were read to find out what it speaks.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use reelway_rpc::Accepted;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::{head::HeadClock, slots::Slot};

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

/// A connection. It has its slot for as long as there is anything of it: a WebSocket outlives HTTP.
#[derive(Debug)]
pub(super) struct Wire {
    accepted: Accepted,
    first: Bytes,
    clock: HeadClock,
    _slot: Slot,
}

impl Wire {
    /// Reads as much as it takes to know what the client speaks.
    ///
    /// # Errors
    /// If the connection breaks, or ends before it has begun.
    pub(super) async fn open(mut accepted: Accepted, clock: HeadClock, slot: Slot) -> io::Result<(Self, Speaks)> {
        let mut first = Vec::with_capacity(PREFACE.len());
        let mut speaks = Speaks::Http2;
        while first.len() < PREFACE.len() {
            let mut rest = (&mut accepted).take(u64::try_from(PREFACE.len() - first.len()).unwrap_or(0));
            if rest.read_buf(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !PREFACE.starts_with(&first) {
                speaks = Speaks::Http1;
                break;
            }
        }
        let wire = Self {
            accepted,
            first: first.into(),
            clock,
            _slot: slot,
        };
        Ok((wire, speaks))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if !wire.first.is_empty() {
            let length = wire.first.len().min(buf.remaining());
            buf.put_slice(&wire.first[..length]);
            wire.first.advance(length);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut wire.accepted).poll_read(cx, buf);
        if buf.filled().len() > before {
            wire.clock.bytes_came();
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().accepted).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().accepted).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.accepted.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().accepted).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().accepted).poll_shutdown(cx)
    }
}
