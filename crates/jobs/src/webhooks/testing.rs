//! A receiver of webhooks for tests: a real HTTP server that answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use reelway_catalog::Webhook;
use reelway_domain::{Timestamp, WebhookEvent, WebhookId, WebhookUrl};
use tokio::{net::TcpListener, sync::mpsc};

use super::{WebhookSettings, WebhookTiming};

pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a receiver does with a request.
pub(crate) enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect(u16, String),
    /// Nothing, for as long as the connection lasts.
    Never,
}

/// A request that came.
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Answers with a script, and with 200 when that is over.
pub(crate) struct Receiver {
    pub(crate) url: WebhookUrl,
    requests: mpsc::UnboundedReceiver<Got>,
}

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: mpsc::UnboundedSender<Got>,
}

impl Receiver {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        let script = Script {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            requests: sender,
        };
        let router = Router::new().fallback(receive).with_state(script);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: url.parse().unwrap(),
            requests,
        }
    }

    /// The same server under another name.
    pub(crate) fn by_name(&self) -> WebhookUrl {
        self.url.as_str().replace("127.0.0.1", "localhost").parse().unwrap()
    }

    pub(crate) async fn next(&mut self) -> Got {
        let next = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
        next.expect("a request in time").expect("the server")
    }

    pub(crate) fn has_nothing(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn receive(State(script): State<Script>, headers: HeaderMap, body: String) -> Response {
    script.requests.send(Got { headers, body }).unwrap();
    let answer = script.answers.lock().unwrap().pop_front();
    let status = |code| StatusCode::from_u16(code).unwrap();
    match answer.unwrap_or(Answer::Status(200)) {
        Answer::Status(code) => status(code).into_response(),
        Answer::RetryAfter(code, after) => (status(code), [(header::RETRY_AFTER, after)]).into_response(),
        Answer::Redirect(code, to) => (status(code), [(header::LOCATION, to)]).into_response(),
        Answer::Never => std::future::pending().await,
    }
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).expect(name).to_str().unwrap()
    }

    /// Whether the specification's own implementation takes it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        verifier.verify(self.body.as_bytes(), &self.headers).is_ok()
    }
}

/// Settings that reach receivers on this machine.
pub(crate) fn settings() -> WebhookSettings {
    WebhookSettings {
        endpoints: Vec::new(),
        secrets: vec![SECRET.parse().unwrap()],
        private_allowed: true,
        timing: WebhookTiming::default(),
    }
}

/// A webhook as it comes from a claim.
pub(crate) fn webhook(url: &str) -> Webhook {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    Webhook {
        message: WebhookId::new(),
        url: url.to_owned(),
        host: String::new(),
        event: WebhookEvent::JobSucceeded,
        body: r#"{"type":"job.succeeded"}"#.to_owned(),
        attempt: 1,
        claimed_at: Timestamp(i64::try_from(now).unwrap()),
        trace: None,
    }
}
