//! Lines of a process's standard output, none longer than a bound.

use std::{borrow::Cow, io};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::ChildStdout,
};

/// The longest line that is accepted, in bytes. What is asked of ffprobe and ffmpeg here gives lines below 1 KiB.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Reads lines without their ends.
pub(super) struct Lines {
    reader: BufReader<ChildStdout>,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn new(stdout: ChildStdout) -> Self {
        Self {
            reader: BufReader::with_capacity(32 << 10, stdout),
            line: Vec::new(),
        }
    }

    /// The next line; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Cow<'_, str>>> {
        self.line.clear();
        let count = (&mut self.reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut self.line)
            .await?;
        if count as u64 == LINE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        Ok((count > 0).then(|| String::from_utf8_lossy(self.line.trim_ascii_end())))
    }
}
