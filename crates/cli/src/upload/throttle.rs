//! Reading a file no faster than a line should carry it.

use std::{
    io::{self, SeekFrom},
    pin::Pin,
    str::FromStr,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncSeek, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Reads are cut to what the line carries in this time, so that it is never idle and never flooded.
const SLICE: Duration = Duration::from_millis(50);

/// A speed in bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(u64);

impl FromStr for Rate {
    type Err = String;

    /// A number of bytes a second, with `k`, `M` or `G` for powers of 1024, as curl's `--limit-rate` takes it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, shift) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (&text[..at], 10),
            Some((at, 'M')) => (&text[..at], 20),
            Some((at, 'G')) => (&text[..at], 30),
            _ => (text, 0),
        };
        let rate: u64 = digits
            .parse()
            .map_err(|_| "it must look like 500k, 8M or a number of bytes a second")?;
        rate.checked_mul(1 << shift)
            .filter(|rate| *rate > 0)
            .map(Self)
            .ok_or_else(|| "it must be more than 0".to_owned())
    }
}

/// A file that is read at a limited speed.
#[derive(Debug)]
pub(crate) struct Throttled<R> {
    inner: R,
    line: Line,
}

#[derive(Debug)]
struct Line {
    rate: Rate,
    /// Until then the line is busy with what was read.
    busy_until: Instant,
    wait: Pin<Box<Sleep>>,
}

impl<R> Throttled<R> {
    pub(crate) fn new(inner: R, rate: Rate) -> Self {
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

    #[test]
    fn rates_are_written_as_for_curl() {
        assert_eq!("500k".parse(), Ok(Rate(500 << 10)));
        assert_eq!("8M".parse(), Ok(Rate(8 << 20)));
        assert_eq!("1234".parse(), Ok(Rate(1234)));
        for text in ["", "0", "M", "-1", "fast", "99999999999999999999G"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_slow_line_takes_its_time_and_loses_nothing() {
        let bytes = vec![7_u8; 100_000];
        let mut throttled = Throttled::new(&bytes[..], Rate(400_000));
        let begin = Instant::now();
        let mut read = Vec::new();
        throttled.read_to_end(&mut read).await.expect("memory can be read");
        assert_eq!(read, bytes);
        // The line is free once the last slice is on its way, so at least all before it has taken its time.
        assert!(begin.elapsed() >= Duration::from_millis(180), "{:?}", begin.elapsed());
    }
}
