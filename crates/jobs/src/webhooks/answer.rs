//! What an answer means, or that there is none.

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use reelway_domain::WebhookUrlError;
use reqwest::{Response, StatusCode, header::RETRY_AFTER};

use super::address::NotPublic;

/// Why a try came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the URL can't be used: {0}")]
    Url(#[from] WebhookUrlError),
    #[error("this server has no secret to sign with")]
    Unsigned,
    #[error("the message can't be signed: {0}")]
    Sign(#[from] standardwebhooks::WebhookError),
    #[error(transparent)]
    NotPublic(#[from] NotPublic),
    #[error("no answer in time")]
    TimedOut,
    #[error("{0}")]
    Unreachable(String),
    #[error("answered {status}")]
    Answered {
        status: StatusCode,
        /// How long the receiver asked to be left alone.
        retry_after: Option<Duration>,
    },
}

impl SendError {
    /// Whether no further try can help: the receiver says that it is gone for good, or the URL never was one.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Url(_) => true,
            Self::Answered { status, .. } => *status == StatusCode::GONE,
            _ => false,
        }
    }

    /// How long the receiver asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Success, or what the receiver said instead. A redirect is no success: it is not followed.
pub(super) fn judge(response: &Response) -> Result<(), SendError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let is_asking = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let asked = response.headers().get(RETRY_AFTER).filter(|_| is_asking);
    let retry_after = asked.and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now()));
    Err(SendError::Answered { status, retry_after })
}

/// The value of a Retry-After header: seconds, or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// What kept the request from being answered: the innermost cause, which tells most, and never the URL.
pub(super) fn unanswered(error: reqwest::Error) -> SendError {
    if error.is_timeout() {
        return SendError::TimedOut;
    }
    let error = error.without_url();
    let (mut cause, mut text) = (error.source(), error.to_string());
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    SendError::Unreachable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let minute = Some(Duration::from_secs(60));
        assert_eq!(retry_after("60", now), minute);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), minute);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
