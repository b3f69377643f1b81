//! The end of a process's standard error, which is all that is kept of it.

use std::collections::VecDeque;

use reelway_domain::limits::STDERR_TAIL_BYTES_MAX;
use tokio::{io::AsyncReadExt, process::ChildStderr};

/// The last bytes that were written, at most [`STDERR_TAIL_BYTES_MAX`].
#[derive(Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    /// Reads to the end, so that the process never waits for a reader.
    pub(super) async fn fill(&mut self, stderr: Option<ChildStderr>) {
        let Some(mut stderr) = stderr else { return };
        let mut buffer = [0; 4096];
        // An error of the pipe means the same as its end: there is nothing more to keep.
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            self.push(&buffer[..count]);
        }
    }

    /// What was kept, as text.
    pub(super) fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(STDERR_TAIL_BYTES_MAX);
        self.bytes.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::default();
        for i in 0..10_000 {
            tail.push(format!("line {i}\n").as_bytes());
        }
        let text = tail.text();
        assert_eq!(text.len(), STDERR_TAIL_BYTES_MAX);
        assert!(text.ends_with("line 9998\nline 9999\n"));
    }
}
