//! What the end of a process means.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use reelway_domain::{Failure, Reason};

use crate::Error;

/// What the C library says when the disk or the quota is full.
const DISK_FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// What ffmpeg and its encoders say when an allocation fails.
const OUT_OF_MEMORY: [&str; 3] = ["Cannot allocate memory", "malloc of size", "Error allocating"];

/// How a process ended by itself.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its status. Success proves little: ffmpeg exits with 0 on truncated input.
    pub(crate) status: ExitStatus,
    /// The end of its standard error.
    pub(crate) stderr: String,
}

impl Finished {
    /// Goes on only after exit status 0.
    ///
    /// # Errors
    /// See [`Finished::into_error`].
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if self.status.success() {
            Ok(self)
        } else {
            Err(self.into_error())
        }
    }

    /// A process that ended badly: `STORAGE_FULL` or `ENCODER_OUT_OF_MEMORY` if it said so, else `ENCODER_FAILED`.
    pub(crate) fn into_error(self) -> Error {
        if DISK_FULL.iter().any(|words| self.stderr.contains(words)) {
            return self.failed(Reason::StorageFull, "the scratch directory is full");
        }
        if self.status.signal() == Some(libc::SIGKILL) {
            // Nobody here has killed it, so the kernel did.
            return self.failed(
                Reason::EncoderOutOfMemory,
                "ffmpeg was killed from outside, as the kernel does when memory runs out",
            );
        }
        if OUT_OF_MEMORY.iter().any(|words| self.stderr.contains(words)) {
            return self.failed(Reason::EncoderOutOfMemory, "ffmpeg needed more memory than it may have");
        }
        let message = match self.status.signal() {
            Some(libc::SIGXCPU) => "ffmpeg used up its processor time".to_owned(),
            Some(libc::SIGXFSZ) => "ffmpeg wrote a larger file than it may".to_owned(),
            Some(signal) => format!("ffmpeg was ended by signal {signal}"),
            None => format!("ffmpeg ended with {}: {}", self.status, self.last_line()),
        };
        self.failed(Reason::EncoderFailed, message)
    }

    /// A failure of this process for a reason that the caller knows.
    pub(crate) fn failed(self, reason: Reason, message: impl Into<String>) -> Error {
        Error::Failed {
            failure: Failure::new(reason, message),
            stderr_tail: self.stderr,
        }
    }

    fn last_line(&self) -> &str {
        self.stderr.trim_end().lines().next_back().unwrap_or("it said nothing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(raw_status: i32, stderr: &str) -> (Reason, String) {
        let finished = Finished {
            status: ExitStatus::from_raw(raw_status),
            stderr: stderr.into(),
        };
        let failure = finished.checked().unwrap_err().failure().unwrap().clone();
        (failure.reason, failure.message)
    }

    #[test]
    fn a_full_disk_is_not_the_encoders_fault() {
        let said = "av_interleaved_write_frame(): No space left on device\nConversion failed!\n";
        assert_eq!(reason(1 << 8, said).0, Reason::StorageFull);
    }

    #[test]
    fn messages_tell_signals_and_last_words() {
        let (killed, message) = reason(libc::SIGKILL, "");
        assert_eq!(killed, Reason::EncoderOutOfMemory);
        assert!(message.contains("memory"), "{message}");
        assert_eq!(
            reason(1 << 8, "x264 [error]: malloc of size 123 failed\n").0,
            Reason::EncoderOutOfMemory
        );
        assert!(reason(1 << 8, "first\nlast\n").1.ends_with("exit status: 1: last"));
    }
}
