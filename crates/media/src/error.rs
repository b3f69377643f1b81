//! How an operation of this crate can end other than well.

use std::io;

use reelway_domain::{Failure, Reason};

/// Why an operation gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's token was cancelled; every process that was started is gone.
    #[error("cancelled")]
    Cancelled,
    /// It can't be done, or was not done this time: [`Reason::retry`] of the failure's reason tells which.
    #[error("{failure}")]
    Failed {
        /// What callers hear.
        failure: Failure,
        /// The end of what ffmpeg or ffprobe wrote to standard error; empty if none was running.
        stderr_tail: String,
    },
}

impl Error {
    /// What callers hear; `None` if the operation was cancelled.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Cancelled => None,
            Self::Failed { failure, .. } => Some(failure),
        }
    }

    /// A failure that no process's standard error says more about.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Failure::new(reason, message).into()
    }

    /// A file operation of our own failed.
    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Self::new(
            if full { Reason::StorageFull } else { Reason::Internal },
            format!("{doing}: {error}"),
        )
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            failure,
            stderr_tail: String::new(),
        }
    }
}
