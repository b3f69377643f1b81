//! Webhooks as they are configured.

use reelway_domain::WebhookUrl;
use reelway_jobs::webhooks::{WebhookSecret, WebhookSettings};

use crate::{config::ServeConfig, error::CliError};

/// Who is told, and with what messages are signed.
///
/// # Errors
/// A usage error if a URL or the secret can't be understood, or there are URLs and no secret.
pub(super) fn settings(config: &ServeConfig) -> Result<WebhookSettings, CliError> {
    let given = &config.webhooks;
    let url = |text: &String| text.parse::<WebhookUrl>();
    let endpoints = given.urls.iter().map(url).collect::<Result<Vec<_>, _>>();
    let secrets = given
        .secret
        .as_ref()
        .map(|secret| WebhookSecret::parse_all(&secret.0))
        .transpose();
    let settings = WebhookSettings {
        endpoints: endpoints.map_err(|error| CliError::usage(format!("--webhook-url: {error}")))?,
        secrets: secrets
            .map_err(|error| CliError::usage(format!("--webhook-secret-file: {error}")))?
            .unwrap_or_default(),
        private_allowed: given.allow_private,
        ..WebhookSettings::default()
    };
    settings.check().map_err(|error| {
        CliError::usage(format!("--webhook-url: {error}")).hint("set REELWAY_WEBHOOK_SECRET or --webhook-secret-file")
    })?;
    Ok(settings)
}
