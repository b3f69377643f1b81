//! One try: a signed request.

use std::sync::Arc;

use reelway_catalog::Webhook;
use reelway_domain::WebhookUrl;
use reqwest::{Client, header::CONTENT_TYPE, redirect};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};

use super::{
    WebhookSecret, WebhookSettings,
    address::{PublicOnly, check_literal},
    answer::{SendError, judge, unanswered},
};

/// How the receivers' logs name this service.
const USER_AGENT: &str = concat!("reelway/", env!("CARGO_PKG_VERSION"));

/// The header of a W3C trace context.
const TRACEPARENT: &str = "traceparent";

/// Makes requests to receivers.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    secrets: Vec<WebhookSecret>,
    private_allowed: bool,
}

impl Sender {
    /// Prepares for sending.
    ///
    /// # Errors
    /// If the certificates of this system can't be read.
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        let mut client = Client::builder()
            .user_agent(USER_AGENT)
            .timeout(settings.timing.timeout)
            // A redirect would lead past the checks, and a proxy would do the connecting.
            .redirect(redirect::Policy::none())
            .no_proxy();
        if !settings.private_allowed {
            client = client.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self {
            client: client.build()?,
            secrets: settings.secrets.clone(),
            private_allowed: settings.private_allowed,
        })
    }

    /// Sends a webhook once. An answer's body is never read.
    pub(super) async fn send(&self, webhook: &Webhook) -> Result<(), SendError> {
        let url: WebhookUrl = webhook.url.parse()?;
        if !self.private_allowed {
            check_literal(url.as_url())?;
        }
        let id = webhook.message.to_string();
        let seconds = webhook.claimed_at.0 / 1000;
        let mut request = self
            .client
            .post(url.as_url().clone())
            .header(HEADER_WEBHOOK_SIGNATURE, self.sign(&id, seconds, &webhook.body)?)
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, seconds)
            .header(CONTENT_TYPE, "application/json")
            .body(webhook.body.clone());
        if let Some(trace) = reelway_telemetry::current().or_else(|| webhook.trace.clone()) {
            request = request.header(TRACEPARENT, trace.as_str());
        }
        judge(&request.send().await.map_err(unanswered)?)
    }

    /// The signatures of all secrets, separated by spaces.
    fn sign(&self, id: &str, seconds: i64, body: &str) -> Result<String, SendError> {
        if self.secrets.is_empty() {
            return Err(SendError::Unsigned);
        }
        let signatures = self.secrets.iter().map(|secret| secret.sign(id, seconds, body));
        Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::webhooks::testing::{Answer, Receiver, SECRET, settings, webhook};

    /// One try at a receiver that answers so.
    async fn tried(answer: Answer) -> Result<(), SendError> {
        let receiver = Receiver::start([answer]).await;
        let sender = Sender::new(&settings()).unwrap();
        sender.send(&webhook(receiver.url.as_str())).await
    }

    fn status(sent: Result<(), SendError>) -> (u16, Option<u64>) {
        match sent {
            Err(SendError::Answered { status, retry_after }) => (status.as_u16(), retry_after.map(|r| r.as_secs())),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn only_success_is_success() {
        for code in [200, 202, 204] {
            tried(Answer::Status(code)).await.unwrap();
        }
        for code in [400, 404, 410, 500] {
            assert_eq!(status(tried(Answer::Status(code)).await), (code, None));
        }
        assert_eq!(status(tried(Answer::RetryAfter(429, "7")).await), (429, Some(7)));
        assert_eq!(status(tried(Answer::RetryAfter(503, "7")).await), (503, Some(7)));
        assert_eq!(status(tried(Answer::RetryAfter(500, "7")).await), (500, None));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let mut other = Receiver::start([]).await;
        for code in [301, 302, 307, 308] {
            let redirect = Answer::Redirect(code, other.url.to_string());
            assert_eq!(status(tried(redirect).await), (code, None));
        }
        assert!(other.has_nothing());
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let receiver = Receiver::start([Answer::Never]).await;
        let mut settings = settings();
        settings.timing.timeout = Duration::from_millis(50);
        let sent = Sender::new(&settings)
            .unwrap()
            .send(&webhook(receiver.url.as_str()))
            .await;
        assert!(matches!(sent, Err(SendError::TimedOut)), "{sent:?}");
    }

    #[tokio::test]
    async fn private_addresses_are_refused_however_they_are_written() {
        let mut receiver = Receiver::start([]).await;
        let port = receiver.url.as_url().port().unwrap();
        let mut settings = settings();
        settings.private_allowed = false;
        let sender = Sender::new(&settings).unwrap();
        for host in [
            "127.0.0.1",
            "localhost",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ] {
            let sent = sender.send(&webhook(&format!("http://{host}:{port}/"))).await;
            let refused = sent.expect_err(host).to_string();
            assert!(refused.ends_with("is not a public address"), "{host}: {refused}");
        }
        assert!(receiver.has_nothing());
    }

    #[tokio::test]
    async fn a_host_that_is_not_there_is_named_without_the_path() {
        let port = reelway_testkit::free_port();
        let sender = Sender::new(&settings()).unwrap();
        let sent = sender
            .send(&webhook(&format!("http://127.0.0.1:{port}/path-that-is-secret")))
            .await;
        let text = sent.unwrap_err().to_string();
        assert!(text.contains("refused") && !text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn nothing_is_sent_unsigned_or_to_no_url() {
        let mut receiver = Receiver::start([]).await;
        let mut settings = settings();
        let gone = Sender::new(&settings)
            .unwrap()
            .send(&webhook("not a URL"))
            .await
            .unwrap_err();
        assert!(gone.is_final(), "{gone}");
        settings.secrets.clear();
        let unsigned = Sender::new(&settings)
            .unwrap()
            .send(&webhook(receiver.url.as_str()))
            .await;
        assert!(matches!(unsigned, Err(SendError::Unsigned)), "{unsigned:?}");
        assert!(receiver.has_nothing());
    }

    #[tokio::test]
    async fn each_of_several_secrets_verifies() {
        const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let mut receiver = Receiver::start([]).await;
        let mut settings = settings();
        settings.secrets.push(OLD.parse().unwrap());
        let sender = Sender::new(&settings).unwrap();
        sender.send(&webhook(receiver.url.as_str())).await.unwrap();
        let got = receiver.next().await;
        assert!(got.is_signed_with(SECRET) && got.is_signed_with(OLD));
        assert!(!got.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        assert_eq!(got.header("content-type"), "application/json");
    }
}
