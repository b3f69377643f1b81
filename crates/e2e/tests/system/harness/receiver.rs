//! A receiver of webhooks, as a user would run one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::{net::TcpListener, task::JoinHandle};

/// The secret that receivers here share with the system.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The header with a message's id.
const ID: &str = "webhook-id";
/// The header with the time of a try, in seconds since 1970.
const TIMESTAMP: &str = "webhook-timestamp";

/// The variable that gives a server the secret.
pub(crate) fn webhook_secret() -> (String, String) {
    ("REELWAY_WEBHOOK_SECRET".to_owned(), SECRET.to_owned())
}

/// What a receiver says to a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    Ok,
    Status(u16),
    /// Look elsewhere: a redirect to another path of this receiver.
    Elsewhere,
    /// Nothing, for as long as it is asked.
    Nothing,
}

/// One try of one message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) timestamp: u64,
    pub(crate) body: Value,
    /// It was answered with success.
    pub(crate) is_taken: bool,
}

impl Delivery {
    /// The kind of event.
    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().expect("a type")
    }

    /// The job that it is about.
    pub(crate) fn job_id(&self) -> Option<&str> {
        self.body["data"]["job_id"].as_str()
    }

    /// The upload that it is about.
    pub(crate) fn upload_id(&self) -> Option<&str> {
        self.body["data"]["upload_id"].as_str()
    }
}

/// A server that takes messages until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    inbox: Arc<Mutex<Inbox>>,
    running: JoinHandle<()>,
}

#[derive(Default)]
struct Inbox {
    deliveries: Vec<Delivery>,
    /// What it says to the next ones. After that it takes everything.
    says: VecDeque<Says>,
}

impl Receiver {
    /// Starts one that says this to the first messages, and takes what comes after.
    pub(crate) async fn start(says: &[Says]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let inbox = Arc::new(Mutex::new(Inbox {
            says: says.iter().copied().collect(),
            ..Inbox::default()
        }));
        let router = Router::new().fallback(take).with_state(Arc::clone(&inbox));
        let serve = async move { axum::serve(listener, router).await.expect("it never fails") };
        Self {
            address,
            inbox,
            running: tokio::spawn(serve),
        }
    }

    /// Where messages are to be sent.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The ids of the messages of one kind that were taken, by what they are about: the job, or else the upload.
    pub(crate) fn taken(&self, event: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for delivery in self.deliveries() {
            if delivery.is_taken && delivery.event() == event {
                let subject = delivery.job_id().or(delivery.upload_id()).expect("what it is about");
                ids.entry(subject.to_owned()).or_default().insert(delivery.id);
            }
        }
        ids
    }

    /// Everything that arrived.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.inbox).deliveries.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn take(State(inbox): State<Arc<Mutex<Inbox>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let says = lock(&inbox).says.pop_front().unwrap_or(Says::Ok);
    let verified = Webhook::new(SECRET).expect("a secret").verify(&body, &headers);
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let delivery = Delivery {
        path: uri.path().to_owned(),
        id: text(ID).to_owned(),
        timestamp: text(TIMESTAMP).parse().unwrap_or(0),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        is_taken: matches!(says, Says::Ok) && verified.is_ok(),
    };
    lock(&inbox).deliveries.push(delivery);
    if verified.is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match says {
        Says::Ok => StatusCode::NO_CONTENT.into_response(),
        Says::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Says::Elsewhere => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        Says::Nothing => std::future::pending().await,
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().expect("nobody panics with it")
}
