//! What can go wrong, with the server's own words where it gave some.

use std::{collections::BTreeMap, error::Error as _, fmt, io, time::Duration};

use reelway::v1;
use reelway_domain::{FieldViolation, Reason};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::retry::{self, Class};

/// Why a call, an upload or a watch ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, or the connection broke and didn't come back.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The upload can't be continued: it failed, was aborted or expired.
    #[error("the upload {upload_id} has ended as {state:?}: {message}")]
    UploadEnded {
        /// The upload.
        upload_id: String,
        /// How it ended.
        state: v1::UploadState,
        /// The reason that the server recorded; empty if it recorded none.
        reason: String,
        /// The sentence to the reason.
        message: String,
    },
    /// The file can't be read.
    #[error("the file can't be read: {0}")]
    Read(#[from] io::Error),
    /// The file's length is not what it was when its upload was created, so its bytes can't be trusted either.
    #[error("the file was {expected_bytes} bytes long when its upload began and is not any more")]
    FileChanged {
        /// The length at the beginning, in bytes.
        expected_bytes: u64,
    },
    /// An address that can't be called.
    #[error("{url:?} is not the address of a server: {problem}")]
    Endpoint {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A text that can't be a key or a token; it is not shown.
    #[error("a key or token is of letters, digits and signs, without spaces and line breaks")]
    Token,
    /// The bucket that takes an upload's parts refused one, or was not reached. The URL is not shown: it is a right to write.
    #[error("the bucket took no part: {0}")]
    Bucket(String),
    /// The server's answer breaks the contract.
    #[error("the server's answer makes no sense: {0}")]
    Contract(&'static str),
}

impl Error {
    /// The word to branch on: the server's reason, or one of this client's own.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.reason,
            Self::UploadEnded { reason, .. } if reason.is_empty() => "UPLOAD_ENDED",
            Self::UploadEnded { reason, .. } => reason,
            Self::Read(_) => "FILE_UNREADABLE",
            Self::FileChanged { .. } => "FILE_CHANGED",
            Self::Endpoint { .. } => "ENDPOINT_INVALID",
            Self::Token => "TOKEN_INVALID",
            Self::Bucket(_) => "BUCKET_UNAVAILABLE",
            Self::Contract(_) => "CONTRACT_BROKEN",
        }
    }

    /// Whether the same may succeed later without anybody changing anything.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => retry::classify(refusal),
            // The server is asked next, which signs new URLs and knows if the upload has ended.
            Self::Bucket(_) => Class::Again,
            Self::UploadEnded { .. }
            | Self::Read(_)
            | Self::FileChanged { .. }
            | Self::Endpoint { .. }
            | Self::Token
            | Self::Contract(_) => Class::Never,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Refused(status.into())
    }
}

/// A call that did not succeed, as the server told it or as the transport broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: Code,
    /// The word of `google.rpc.ErrorInfo`; the code's own name if there is none.
    pub reason: String,
    /// What was wrong and what to do.
    pub message: String,
    /// What varies in the message.
    pub metadata: BTreeMap<String, String>,
    /// The fields of the request that are wrong.
    pub violations: Vec<FieldViolation>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The status was made here, because the connection broke or was never there; the server didn't send it.
    pub is_transport: bool,
}

impl Refusal {
    /// The reason, if it is one that this release knows.
    #[must_use]
    pub fn known_reason(&self) -> Option<Reason> {
        self.reason.parse().ok()
    }

    /// A refusal of this client's own: the server was silent for too long.
    pub(crate) fn silence(waited: Duration) -> Self {
        Self {
            code: Code::DeadlineExceeded,
            reason: code_word(Code::DeadlineExceeded).to_owned(),
            message: format!("the server said nothing for {} seconds", waited.as_secs()),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
            is_transport: true,
        }
    }

    /// A refusal of this client's own: the stream ended although there was more to say.
    pub(crate) fn cut() -> Self {
        Self {
            code: Code::Unavailable,
            message: "the server ended the stream early".to_owned(),
            reason: code_word(Code::Unavailable).to_owned(),
            ..Self::silence(Duration::ZERO)
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let violations = details
            .bad_request()
            .map(|bad| &bad.field_violations[..])
            .unwrap_or_default();
        Self {
            code: status.code(),
            reason: info.map_or_else(|| code_word(status.code()).to_owned(), |info| info.reason.clone()),
            message: message(&status),
            metadata: info
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            violations: violations
                .iter()
                .map(|v| FieldViolation {
                    field: v.field.clone(),
                    description: v.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            // A status from the wire has no source; one that tonic makes of a broken connection has.
            is_transport: status.source().is_some(),
        }
    }
}

/// The status's sentence; for a broken connection with the cause, which says more than "transport error".
fn message(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.contains(&line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

/// The code's name on the wire.
fn code_word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
