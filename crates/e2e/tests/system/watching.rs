//! Invariant 10: a watcher misses nothing and is told nothing twice, also over the death of the server.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt as _;
use reelway::v1::{self, job_event::Change, watch_progress_response::Message};
use reelway_client::Target;
use tokio::{sync::mpsc, time::timeout};

use crate::harness::{Clip, Node, children_of, clip, within_secs};

const CLIP: Clip = Clip::short(30);
const JOB_MAX: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn watch_resumes_over_a_kill() {
    let mut node = Node::start().await;
    let file = clip(CLIP).await;
    let mut everything = watch(&node, Target::Everything);
    everything.snapshot().await;
    let upload = node.upload(&file, "fast").await;
    let mut one = watch(&node, Target::Job(upload.job_id.parse().expect("an id")));
    let first = one.snapshot().await;
    within_secs(60, "an encoder", async || !children_of(node.pid(), "ffmpeg").is_empty()).await;
    node.kill9().await;
    node.restart().await;

    let told_by_one = one.until_end(&upload.job_id).await;
    let told_by_all = everything.until_end(&upload.job_id).await;
    let job = node.job(&upload.job_id).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    assert_eq!(told_by_one, (first + 1..=job.event_seq).collect::<Vec<_>>());
    assert_eq!(told_by_all, (1..=job.event_seq).collect::<Vec<_>>());
    assert!(
        one.messages.recv().await.is_none(),
        "after the last event the stream ends"
    );
}

/// A watch that reads all the time, as a user's does.
struct Watcher {
    messages: mpsc::UnboundedReceiver<Message>,
}

fn watch(node: &Node, target: Target) -> Watcher {
    let (sender, messages) = mpsc::unbounded_channel();
    let mut stream = Box::pin(node.client().watch(target));
    tokio::spawn(async move {
        while let Some(message) = stream.next().await {
            let message = message
                .expect("the server comes back")
                .message
                .expect("a message that is known");
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    Watcher { messages }
}

impl Watcher {
    async fn next(&mut self) -> Message {
        timeout(JOB_MAX, self.messages.recv())
            .await
            .expect("a sign of life")
            .expect("the stream goes on")
    }

    /// Waits for the snapshot that a watch begins with; gives the last event's number of its first job.
    async fn snapshot(&mut self) -> i64 {
        let message = self.next().await;
        let Message::Snapshot(snapshot) = &message else {
            panic!("no snapshot: {message:?}")
        };
        snapshot
            .entries
            .first()
            .and_then(|entry| entry.job.as_ref())
            .map_or(0, |job| job.event_seq)
    }

    /// The numbers of the job's events, in the order in which they come, up to the one that ends it.
    async fn until_end(&mut self, job_id: &str) -> Vec<i64> {
        let mut seqs = Vec::new();
        let mut percent = BTreeMap::new();
        loop {
            match self.next().await {
                Message::Event(event) if event.job_id == job_id => {
                    seqs.push(event.seq);
                    if is_end(&event) {
                        return seqs;
                    }
                }
                Message::Sample(sample) => {
                    let before = percent.insert(sample.job_id.clone(), sample.percent).unwrap_or(0.0);
                    assert!(
                        (before..=100.0).contains(&sample.percent),
                        "{before} % and then {} %",
                        sample.percent
                    );
                }
                Message::Event(_) | Message::Snapshot(_) | Message::Bookmark(_) => {}
            }
        }
    }
}

fn is_end(event: &v1::JobEvent) -> bool {
    use v1::JobState::{Cancelled, Failed, Succeeded};
    matches!(&event.change, Some(Change::JobState(change)) if matches!(change.state(), Succeeded | Failed | Cancelled))
}
