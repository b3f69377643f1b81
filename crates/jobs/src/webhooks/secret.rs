//! The secrets that webhooks are signed with.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use standardwebhooks::{Webhook as Signer, WebhookError};

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// The shortest key, in bytes, as Standard Webhooks says.
const KEY_BYTES_MIN: usize = 24;
/// The longest key, in bytes, as Standard Webhooks says.
const KEY_BYTES_MAX: usize = 64;

/// A symmetric secret of Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. It is never shown again.
#[derive(Clone)]
pub struct WebhookSecret(Arc<Signer>);

/// Why a text is no secret. It doesn't repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSecretError {
    /// It begins with something else.
    #[error("a webhook secret begins with {PREFIX}")]
    Prefix,
    /// What follows can't be decoded.
    #[error("a webhook secret is base64 after {PREFIX}")]
    Base64,
    /// It is too short to be safe, or longer than receivers must take.
    #[error("a webhook secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, not {bytes}")]
    Length {
        /// How many it holds.
        bytes: usize,
    },
}

impl WebhookSecret {
    /// The secrets of a text, separated by white space, such as a file with one in each line. While one replaces another,
    /// both are there and both sign.
    ///
    /// # Errors
    /// What is wrong with the first one that is.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, WebhookSecretError> {
        text.split_whitespace().map(str::parse).collect()
    }

    /// The signature of a message: `v1,` and the base64 of its HMAC-SHA256.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> Result<String, WebhookError> {
        self.0.sign(id, seconds, body.as_bytes())
    }
}

impl FromStr for WebhookSecret {
    type Err = WebhookSecretError;

    fn from_str(text: &str) -> Result<Self, WebhookSecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(WebhookSecretError::Prefix)?;
        let key = STANDARD.decode(encoded).map_err(|_| WebhookSecretError::Base64)?;
        let bytes = key.len();
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes) {
            return Err(WebhookSecretError::Length { bytes });
        }
        let signer = Signer::from_bytes(key).map_err(|_| WebhookSecretError::Length { bytes })?;
        Ok(Self(Arc::new(signer)))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let text = format!("{PREFIX}{}", STANDARD.encode([7; 32]));
        let secrets = WebhookSecret::parse_all(&format!("{text}\n\n  {text}\n")).unwrap();
        assert_eq!(format!("{secrets:?}"), "[WebhookSecret(…), WebhookSecret(…)]");
        let refused = |text: &str| text.parse::<WebhookSecret>().unwrap_err();
        assert_eq!(refused("hunter2"), WebhookSecretError::Prefix);
        assert_eq!(refused("whsec_hunter2!"), WebhookSecretError::Base64);
        for bytes in [0, KEY_BYTES_MIN - 1, KEY_BYTES_MAX + 1] {
            let text = format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(refused(&text), WebhookSecretError::Length { bytes });
        }
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of https://github.com/standard-webhooks/standard-webhooks, made by its reference implementation.
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
