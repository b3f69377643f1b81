//! Why a WebSocket is closed, in numbers (RFC 6455, section 7.4).

use axum::extract::ws::CloseFrame;
use reelway_domain::{Failure, Reason};

/// Everything was told: nothing follows for what is watched.
const ALL_TOLD: u16 = 1000;
/// The server goes down: connect again with the last `resumeToken`.
const GOING_AWAY: u16 = 1001;
/// The client sent what is too large, or no message at all.
const PROTOCOL: u16 = 1002;
/// The client said too much, or shows nothing that allows it to watch: don't come back without better credentials.
const POLICY: u16 = 1008;
/// A defect of the server.
const DEFECT: u16 = 1011;
/// Not now: connect again later with the last `resumeToken`.
const LATER: u16 = 1013;
/// What was asked for can't be understood.
const REQUEST_WRONG: u16 = 4400;
/// There is no such job or upload.
const NOT_FOUND: u16 = 4404;
/// The peer did not answer a ping: connect again with the last `resumeToken`.
const PING_UNANSWERED: u16 = 4408;
/// The resume token is not valid: connect again without one.
const TOKEN_INVALID: u16 = 4410;

/// Why a connection is closed. The text that goes with the number is one word: a reason of the API where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Close {
    AllTold,
    Failed(Reason),
    PingUnanswered,
    TooTalkative,
    Unreadable,
}

impl From<&Failure> for Close {
    fn from(failure: &Failure) -> Self {
        Self::Failed(failure.reason)
    }
}

impl Close {
    /// What the peer is told.
    pub(super) fn frame(&self) -> CloseFrame {
        let (code, word) = match self {
            Self::AllTold => (ALL_TOLD, "END"),
            Self::Failed(reason) => (code_of(*reason), reason.as_str()),
            Self::PingUnanswered => (PING_UNANSWERED, "PING_UNANSWERED"),
            Self::TooTalkative => (POLICY, "MESSAGES_TOO_MANY"),
            Self::Unreadable => (PROTOCOL, "MESSAGE_UNREADABLE"),
        };
        let reason = word.into();
        CloseFrame { code, reason }
    }
}

fn code_of(reason: Reason) -> u16 {
    match (reason, reason.http_status()) {
        (Reason::ShuttingDown, _) => GOING_AWAY,
        (Reason::ResumeTokenInvalid, _) => TOKEN_INVALID,
        (_, 400) => REQUEST_WRONG,
        (_, 401 | 403) => POLICY,
        (_, 404 | 410) => NOT_FOUND,
        (_, 429 | 503 | 504) => LATER,
        _ => DEFECT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_something() {
        for (reason, code) in [
            (Reason::ShuttingDown, 1001),
            (Reason::CredentialsMissing, 1008),
            (Reason::CredentialsInvalid, 1008),
            (Reason::PermissionMissing, 1008),
            (Reason::Internal, 1011),
            (Reason::ServiceUnavailable, 1013),
            (Reason::RateLimited, 1013),
            (Reason::FieldInvalid, 4400),
            (Reason::JobNotFound, 4404),
            (Reason::UploadNotFound, 4404),
            (Reason::ResumeTokenInvalid, 4410),
        ] {
            let frame = Close::Failed(reason).frame();
            assert_eq!((frame.code, frame.reason.as_str()), (code, reason.as_str()));
        }
    }
}
