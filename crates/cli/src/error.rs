//! What the command tells when it can't do what was asked: one line with a word to branch on, perhaps a hint, an exit code.

use std::fmt;

use reelway::v1;
use reelway_client::Class;
use reelway_domain::Reason;

use crate::{config::ConfigError, exit::Exit};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct CliError {
    /// An UPPER_SNAKE_CASE word, the server's where it gave one.
    pub(crate) reason: String,
    /// What was wrong.
    pub(crate) message: String,
    /// What to do, as sentences or commands.
    pub(crate) hints: Vec<String>,
    /// How the command ends.
    pub(crate) exit: Exit,
}

impl CliError {
    /// It can't be done.
    pub(crate) fn failed(reason: &str, message: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.to_string(),
            hints: Vec::new(),
            exit: Exit::Failed,
        }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::failed("USAGE", message)
        }
    }

    /// The same command may succeed later.
    pub(crate) fn try_again(reason: &str, message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::TryAgain,
            ..Self::failed(reason, message)
        }
    }

    /// The same with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for CliError {}

impl From<reelway_client::Error> for CliError {
    fn from(error: reelway_client::Error) -> Self {
        let told = match error.class() {
            Class::Again => Self::try_again(error.reason(), &error),
            Class::Never => Self::failed(error.reason(), &error),
        };
        match &error {
            reelway_client::Error::Refused(refusal) if refusal.is_transport => {
                told.hint("is the server running, and is --server its gRPC address? `reelway serve` starts one")
            }
            reelway_client::Error::Refused(refusal) if refusal.known_reason() == Some(Reason::CredentialsMissing) => {
                told.hint("set REELWAY_TOKEN or --token-file; `reelway token create` makes a key")
            }
            reelway_client::Error::Endpoint { .. } | reelway_client::Error::Token => Self {
                exit: Exit::Usage,
                ..told
            },
            reelway_client::Error::FileChanged { .. } => told.hint("upload it again when nobody writes to it any more"),
            _ => told,
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self {
            reason: "CONFIG_INVALID".to_owned(),
            ..Self::usage(error)
        }
    }
}

/// An error that is recorded in a job, a task or an upload, in the same words.
pub(crate) fn recorded(error: &v1::Error) -> String {
    format!("{}: {}", error.reason, error.message)
}
