//! A file that is read slowly, as a phone sends one.

use std::{
    io::{self, Cursor, Read, SeekFrom},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncSeek, ReadBuf},
    time::{Sleep, sleep},
};

/// So much comes at once.
const PIECE_BYTES: usize = 32 << 10;
/// And so long nothing comes after it: 1.6 MB a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes that come little by little.
pub(super) struct Slow {
    bytes: Cursor<Vec<u8>>,
    pause: Pin<Box<Sleep>>,
}

impl Slow {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Cursor::new(bytes),
            pause: Box::pin(sleep(Duration::ZERO)),
        }
    }
}

impl AsyncRead for Slow {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.pause.as_mut().poll(cx));
        self.pause = Box::pin(sleep(PAUSE));
        let mut piece = [0; PIECE_BYTES];
        let room = buffer.remaining().min(PIECE_BYTES);
        let count = Read::read(&mut self.bytes, &mut piece[..room])?;
        buffer.put_slice(&piece[..count]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Slow {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.bytes).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.bytes).poll_complete(cx)
    }
}
