//! People who watch everything all the time: one by gRPC, one by WebSocket at whichever edge is there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use reelway::v1::watch_progress_response::Message;
use reelway_client::{Client, Endpoints, Target};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_tungstenite::{connect_async, tungstenite};

use super::urls;
use crate::harness::{Role, System, within};

/// No server is silent for so long.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// What was told last is heard by then.
const HEARD_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// The numbers of the events that somebody heard of, by job.
type Heard = Arc<Mutex<BTreeMap<String, Vec<i64>>>>;

/// Everybody who watches. Dropping it ends that.
pub(super) struct Watchers {
    _people: JoinSet<()>,
    heard: [Heard; 2],
}

impl Watchers {
    pub(super) fn start(system: &System) -> Self {
        let heard: [Heard; 2] = Default::default();
        let client = Client::connect(&Endpoints::single(&urls(system, Role::Progress))).expect("addresses");
        let edges = system
            .all(Role::Edge)
            .map(|edge| edge.http_url().replace("http://", "ws://"));
        let mut people = JoinSet::new();
        people.spawn(by_grpc(client, Arc::clone(&heard[0])));
        people.spawn(by_web_socket(edges.collect(), Arc::clone(&heard[1])));
        Self { _people: people, heard }
    }

    /// Asserts that everybody heard of each event of these jobs once and in order. Each has its last event's number.
    pub(super) async fn expect_each_event_once(&self, jobs: &[(String, i64)]) {
        for (who, heard) in ["gRPC", "WebSocket"].into_iter().zip(&self.heard) {
            for (job, last) in jobs {
                let seqs = || lock(heard).get(job).cloned().unwrap_or_default();
                within(HEARD_MAX, "the last event", async || {
                    (seqs().last() >= Some(last)).then_some(())
                })
                .await;
                assert_eq!(seqs(), (1..=*last).collect::<Vec<_>>(), "{job} by {who}");
            }
        }
    }
}

fn lock(heard: &Heard) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<i64>>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hear(heard: &Heard, job: &str, seq: i64) {
    lock(heard).entry(job.to_owned()).or_default().push(seq);
}

async fn by_grpc(client: Client, heard: Heard) {
    let mut stream = Box::pin(client.watch(Target::Everything));
    while let Some(message) = stream.next().await {
        let message = message.expect("somebody is always there").message;
        if let Some(Message::Event(event)) = message {
            hear(&heard, &event.job_id, event.seq);
        }
    }
}

async fn by_web_socket(edges: Vec<String>, heard: Heard) {
    let mut token = String::new();
    for edge in edges.iter().cycle() {
        let resumed = if token.is_empty() {
            format!("{edge}/v1/ws")
        } else {
            format!("{edge}/v1/ws?resume_token={}", token.replace('+', "%2B"))
        };
        let Ok((mut socket, _)) = connect_async(&resumed).await else {
            sleep(PAUSE).await;
            continue;
        };
        while let Some(Ok(message)) = timeout(SILENCE_MAX, socket.next()).await.expect("a sign of life") {
            let tungstenite::Message::Text(text) = message else {
                continue;
            };
            let told: Value = serde_json::from_str(&text).expect("JSON");
            let (Some(next), event) = (told["resumeToken"].as_str(), &told["event"]) else {
                continue;
            };
            next.clone_into(&mut token);
            if let (Some(job), Some(seq)) = (event["jobId"].as_str(), event["seq"].as_str()) {
                hear(&heard, job, seq.parse().expect("a number"));
            }
        }
    }
}
