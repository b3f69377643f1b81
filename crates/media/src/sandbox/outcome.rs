//! What the end of a process means.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use reelway_domain::{Failure, Reason};

use crate::Error;

/// What the C library says when the disk or the quota is full.
const DISK_FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

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

    /// A process that ended badly: `STORAGE_FULL` if it said so, else `ENCODER_FAILED`.
    pub(crate) fn into_error(self) -> Error {
        if DISK_FULL.iter().any(|words| self.stderr.contains(words)) {
            return self.failed(Reason::StorageFull, "the scratch directory is full");
        }
        let message = match self.status.signal() {
            Some(libc::SIGKILL) => "ffmpeg was killed; perhaps the machine ran out of memory".to_owned(),
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
        assert_eq!(killed, Reason::EncoderFailed);
        assert!(message.contains("memory"), "{message}");
        assert!(reason(1 << 8, "first\nlast\n").1.ends_with("exit status: 1: last"));
    }
}
