//! What goes wrong with Redis.

use std::time::Duration;

use fred::error::{Error, ErrorKind};

use crate::BusError;

/// Error codes of a server that is not, or not yet, the one to write to. Connecting again may find that one.
const WRONG_SERVER: [&str; 5] = ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH"];

/// Why Redis did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Trouble {
    /// It answered with an error, whose first word is its code.
    #[error("{0}")]
    Refused(String),
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// The connection ended, or was never made.
    #[error("{0}")]
    Broken(String),
    /// It answered what no Redis answers.
    #[error("an answer that can't be understood")]
    Unreadable,
}

impl Trouble {
    /// The connection ended, and nobody said why.
    pub(super) fn closed() -> Self {
        Self::Broken("the connection was closed".to_owned())
    }

    /// The error's code, if it is an answer.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(text) => text.split_whitespace().next(),
            _ => None,
        }
    }

    /// Whether the connection can be used after it.
    pub(super) fn leaves_connection(&self) -> bool {
        match self {
            Self::Refused(_) => !self.code().is_some_and(|code| WRONG_SERVER.contains(&code)),
            Self::Silent(_) | Self::Broken(_) | Self::Unreadable => false,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let is_answer = match error.kind() {
            ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Backpressure | ErrorKind::Tls => {
                false
            }
            // By convention, an answer begins with a code in capitals: <https://redis.io/docs/latest/develop/reference/protocol-spec/>
            _ => {
                let code = error.details().split_whitespace().next().unwrap_or_default();
                !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase())
            }
        };
        let text = error.details().to_owned();
        if is_answer {
            Self::Refused(text)
        } else {
            Self::Broken(text)
        }
    }
}

impl From<Trouble> for BusError {
    fn from(trouble: Trouble) -> Self {
        Self::Away(trouble.to_string())
    }
}
