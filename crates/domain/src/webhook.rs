//! Where webhooks may be sent.

use std::{fmt, str::FromStr};

use url::Url;

/// The longest URL of a webhook, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Where a webhook is sent: `http` or `https`, without a user or a password, which would be stored and told in the clear.
/// Which addresses the host may have is for the sender to check, at the moment of sending.
///
/// The path may be a secret of the receiver's: [`fmt::Debug`] leaves it out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebhookUrl(Url);

/// Why a text is no URL for webhooks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It is no URL.
    #[error("not a URL: {0}")]
    Malformed(url::ParseError),
    /// It is too long.
    #[error("longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Webhooks are sent over HTTP only.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// There is a user or a password in it.
    #[error("must not hold a user or a password; receivers verify the signature")]
    Credentials,
    /// There is a fragment in it, which is never sent.
    #[error("must not have a fragment")]
    Fragment,
}

impl WebhookUrl {
    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL in its parts.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host's name or address, for logs and for taking turns between hosts.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;

    fn from_str(text: &str) -> Result<Self, WebhookUrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(WebhookUrlError::TooLong);
        }
        let url = Url::parse(text).map_err(WebhookUrlError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(WebhookUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WebhookUrlError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(WebhookUrlError::Fragment);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_urls_are_taken() {
        let url: WebhookUrl = "https://hooks.example:8443/a?b=c".parse().unwrap();
        assert_eq!(
            (url.as_str(), url.host()),
            ("https://hooks.example:8443/a?b=c", "hooks.example")
        );
        assert_eq!(
            format!("{url:?}"),
            "https://hooks.example/…",
            "the path may be a secret"
        );
        let refused = |text: &str| text.parse::<WebhookUrl>().unwrap_err();
        assert!(matches!(refused("hooks.example"), WebhookUrlError::Malformed(_)));
        assert!(matches!(refused("https://"), WebhookUrlError::Malformed(_)));
        assert_eq!(refused("file:///etc/passwd"), WebhookUrlError::Scheme);
        assert_eq!(refused("gopher://hooks.example/"), WebhookUrlError::Scheme);
        assert_eq!(refused("https://me:pass@hooks.example/"), WebhookUrlError::Credentials);
        assert_eq!(refused("https://hooks.example/#top"), WebhookUrlError::Fragment);
        let long = format!("https://hooks.example/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(refused(&long), WebhookUrlError::TooLong);
    }
}
