//! Durable events, as a watcher gets them.

use std::time::Duration;

use bytes::Bytes;
use reelway::v1::{self, watch_progress_request::Target, watch_progress_response::Message};
use tokio::time::timeout;
use tonic::Streaming;

use super::System;

/// A watcher hears something at least every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// A place in the stream of a job's events.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// The number of the last event before it.
    pub(crate) seq: i64,
    token: Bytes,
}

impl Mark {
    /// Where the job is now.
    pub(crate) async fn now(system: &System, job_id: &str) -> Self {
        let mut stream = watch(system, job_id, Bytes::new()).await;
        let first = next(&mut stream).await.expect("a snapshot");
        let Some(Message::Snapshot(snapshot)) = &first.message else {
            panic!("no snapshot: {first:?}")
        };
        let seq = snapshot.entries[0].job.as_ref().expect("a job").event_seq;
        Self {
            seq,
            token: first.resume_token,
        }
    }

    /// All events after it; the job must end.
    pub(crate) async fn events(&self, system: &System, job_id: &str) -> Vec<v1::JobEvent> {
        let mut stream = watch(system, job_id, self.token.clone()).await;
        let mut events = Vec::new();
        while let Some(message) = next(&mut stream).await {
            if let Some(Message::Event(event)) = message.message {
                events.push(event);
            }
        }
        events
    }

    /// The numbers of all events after it; the job must end.
    pub(crate) async fn seqs(&self, system: &System, job_id: &str) -> Vec<i64> {
        self.events(system, job_id)
            .await
            .iter()
            .map(|event| event.seq)
            .collect()
    }
}

async fn watch(system: &System, job_id: &str, resume_token: Bytes) -> Streaming<v1::WatchProgressResponse> {
    let target = Some(Target::JobId(job_id.to_owned()));
    let request = v1::WatchProgressRequest { target, resume_token };
    system
        .progress()
        .await
        .watch_progress(request)
        .await
        .expect("a stream")
        .into_inner()
}

async fn next(stream: &mut Streaming<v1::WatchProgressResponse>) -> Option<v1::WatchProgressResponse> {
    timeout(SILENCE_MAX, stream.message())
        .await
        .expect("a sign of life")
        .expect("the stream ends with OK")
}
