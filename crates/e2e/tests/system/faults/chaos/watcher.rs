//! Somebody who watches everything all the time: after each break, from where it was.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use reelway::v1::{
    self, progress_service_client::ProgressServiceClient, watch_progress_request::Target,
    watch_progress_response::Message,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use super::clients::passes;
use crate::harness::{Role, System};

/// An event that takes longer isn't coming.
const EVENT_MAX: Duration = Duration::from_secs(60);
/// Servers say something at least every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// The pause after a break.
const PAUSE: Duration = Duration::from_millis(50);

/// All events that were told, by job; `None` before the watch has begun.
type Seen = Option<BTreeMap<String, Vec<v1::JobEvent>>>;

/// A watch that goes on until it is dropped.
pub(super) struct Watcher {
    seen: watch::Receiver<Seen>,
    running: JoinHandle<()>,
}

impl Watcher {
    /// Begins to watch. Returns when it has begun.
    pub(super) async fn start(system: &System) -> Self {
        let endpoint = Endpoint::from_shared(system.server(Role::Progress, 0).grpc_url()).expect("an address");
        let progress = ProgressServiceClient::new(endpoint.connect_lazy());
        let (told, mut seen) = watch::channel::<Seen>(None);
        let running = tokio::spawn(follow(progress, told));
        seen.wait_for(Option::is_some).await.expect("it goes on");
        Self { seen, running }
    }

    /// The events of a job, from the first to one with this number.
    pub(super) async fn events(&self, job_id: &str, last: i64) -> Vec<v1::JobEvent> {
        let mut seen = self.seen.clone();
        let is_there = |seen: &Seen| {
            let events = seen.as_ref().and_then(|seen| seen.get(job_id));
            events
                .and_then(|events| events.last())
                .is_some_and(|event| event.seq >= last)
        };
        let seen = timeout(EVENT_MAX, seen.wait_for(is_there)).await;
        let seen = seen.unwrap_or_else(|_| panic!("{job_id} has {last} events, and not all were told"));
        let seen = seen.expect("the watch goes on");
        seen.as_ref()
            .and_then(|seen| seen.get(job_id))
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Watches over as many streams as it takes.
async fn follow(mut progress: ProgressServiceClient<Channel>, told: watch::Sender<Seen>) {
    let mut token = Bytes::new();
    loop {
        let ended = follow_once(&mut progress, &mut token, &told).await;
        passes(&ended.expect_err("a watch of everything has no end"));
        sleep(PAUSE).await;
    }
}

async fn follow_once(
    progress: &mut ProgressServiceClient<Channel>,
    token: &mut Bytes,
    told: &watch::Sender<Seen>,
) -> Result<(), Status> {
    let request = v1::WatchProgressRequest {
        target: Some(Target::Everything(())),
        resume_token: token.clone(),
    };
    let mut stream = progress.watch_progress(request).await?.into_inner();
    loop {
        let message = timeout(SILENCE_MAX, stream.message()).await.expect("a sign of life")?;
        let Some(message) = message else { return Ok(()) };
        told.send_modify(|seen| {
            let seen = seen.get_or_insert_default();
            if let Some(Message::Event(event)) = message.message {
                seen.entry(event.job_id.clone()).or_default().push(event);
            }
        });
        *token = message.resume_token;
    }
}
