//! What a deployment says about webhooks.

use std::time::Duration;

use reelway_domain::WebhookUrl;

use super::WebhookSecret;

/// The pauses before each further try, as Standard Webhooks advises. The first is at once, the last more than three days
/// later.
const RETRY_PAUSES: &[Duration] = &[
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];
/// How long one try may take, from resolving the name to the answer.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// When another server may try it, if nothing was heard: long after the timeout, so that two never try at once.
const LEASE: Duration = Duration::from_secs(60);

/// Who gets webhooks, and how they are signed.
#[derive(Debug, Clone, Default)]
pub struct WebhookSettings {
    /// Receivers of everything, beside those that uploads name for themselves.
    pub endpoints: Vec<WebhookUrl>,
    /// Each message is signed with all of them. Without any, webhooks wait and are given up in the end.
    pub secrets: Vec<WebhookSecret>,
    /// Receivers may have private addresses: for an intranet whose clients are trusted.
    pub private_allowed: bool,
    /// How long things take.
    pub timing: WebhookTiming,
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct WebhookTiming {
    /// The pauses before each further try; after the last one a webhook is given up.
    pub pauses: &'static [Duration],
    /// How long one try may take.
    pub timeout: Duration,
    /// When another server may try what nothing was heard of; longer than `timeout`.
    pub lease: Duration,
}

/// Settings that can't work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSettingsError {
    /// Receivers could not tell who sent it.
    #[error("webhooks must be signed: give at least one secret with the URLs")]
    Unsigned,
}

impl WebhookSettings {
    /// Whether they can work.
    ///
    /// # Errors
    /// [`WebhookSettingsError::Unsigned`] if there are endpoints and no secret.
    pub fn check(&self) -> Result<(), WebhookSettingsError> {
        if self.secrets.is_empty() && !self.endpoints.is_empty() {
            return Err(WebhookSettingsError::Unsigned);
        }
        Ok(())
    }
}

impl Default for WebhookTiming {
    fn default() -> Self {
        Self {
            pauses: RETRY_PAUSES,
            timeout: TRY_TIMEOUT,
            lease: LEASE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_need_a_secret() {
        let mut settings = WebhookSettings::default();
        assert_eq!(settings.check(), Ok(()));
        settings
            .endpoints
            .push("https://hooks.example/path-that-is-secret".parse().unwrap());
        assert_eq!(settings.check(), Err(WebhookSettingsError::Unsigned));
        settings.secrets = WebhookSecret::parse_all("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(settings.check(), Ok(()));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("MfKQ") && !shown.contains("path"), "{shown}");
    }
}
