//! Reading a file no faster than a line should carry it.

use std::{
    io::{self, SeekFrom},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncSeek, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::byte_size::ByteSize;

/// Reads are cut to what the line carries in this time, so that it is never idle and never flooded.
const SLICE: Duration = Duration::from_millis(50);

/// A file that is read at a limited speed.
#[derive(Debug)]
pub(crate) struct Throttled<R> {
    inner: R,
    line: Line,
}

#[derive(Debug)]
struct Line {
    /// Bytes a second.
    rate: ByteSize,
    /// Until then the line is busy with what was read.
    busy_until: Instant,
    wait: Pin<Box<Sleep>>,
}

impl<R> Throttled<R> {
    pub(crate) fn new(inner: R, rate: ByteSize) -> Self {
        let line = Line {
            rate,
            busy_until: Instant::now(),
            wait: Box::pin(sleep(Duration::ZERO)),
        };
        Self { inner, line }
    }
}

impl Line {
    /// How many bytes may be read at once.
    fn slice_bytes(&self) -> usize {
        let bytes = u128::from(self.rate.0) * SLICE.as_millis() / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    fn poll_free(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() < self.busy_until {
            self.wait.as_mut().reset(self.busy_until);
            ready!(self.wait.as_mut().poll(context));
        }
        Poll::Ready(())
    }

    fn carry(&mut self, bytes: usize) {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000) / u128::from(self.rate.0);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.busy_until = self.busy_until.max(Instant::now()) + takes;
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Throttled<R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.line.poll_free(context));
        let room = buf.remaining().min(this.line.slice_bytes());
        let mut slice = ReadBuf::new(buf.initialize_unfilled_to(room));
        let read = Pin::new(&mut this.inner).poll_read(context, &mut slice);
        let count = slice.filled().len();
        buf.advance(count);
        this.line.carry(count);
        read
    }
}

impl<R: AsyncSeek + Unpin> AsyncSeek for Throttled<R> {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.inner).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.inner).poll_complete(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_slow_line_takes_its_time_and_loses_nothing() {
        let bytes = vec![7_u8; 100_000];
        let mut throttled = Throttled::new(&bytes[..], ByteSize(400_000));
        let begin = Instant::now();
        let mut read = Vec::new();
        throttled.read_to_end(&mut read).await.expect("memory can be read");
        assert_eq!(read, bytes);
        // The line is free once the last slice is on its way, so at least all before it has taken its time.
        assert!(begin.elapsed() >= Duration::from_millis(180), "{:?}", begin.elapsed());
    }
}
