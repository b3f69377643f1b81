//! Several servers that expire uploads and deliver webhooks, of which some die: each is done once.

use std::{collections::BTreeMap, time::Duration};

use rand::Rng as _;
use reelway::v1::{self, job_event::Change};
use tokio::time::sleep;

use super::{jobs::is_end, seed};
use crate::harness::{Mark, Receiver, Role, Shape, System, WEBHOOK_SECRET, WriteStream, within_secs};

/// Uploads that nobody finishes.
const UPLOADS: usize = 20;
const KILLS: usize = 6;
/// The longest life of a server between two kills: it looks for what has expired every 5 s, beginning with its start.
const LIFE_MS_MAX: u64 = 1500;
const JOB_FAILED: &str = "job.failed";

#[tokio::test(flavor = "multi_thread")]
async fn fault_37_controllers_die_embedded() {
    let receiver = Receiver::start(&[]).await;
    fault_37(System::embedded(told(&receiver)).await, &receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_37_controllers_die_split() {
    let receiver = Receiver::start(&[]).await;
    fault_37(System::split(told(&receiver)).await, &receiver).await;
}

async fn fault_37(mut system: System, receiver: &Receiver) {
    let (mut random, _) = seed::random();
    let mut unfinished = Vec::new();
    let mut uploads = system.uploads().await;
    for _ in 0..UPLOADS {
        let upload = system
            .client()
            .create_upload(v1::CreateUploadRequest::default())
            .await
            .expect("an upload");
        let mut stream = WriteStream::open(&mut uploads, &upload.id).await.expect("a stream");
        stream.send_flushed(vec![b'a'; 1000]).await;
        stream.acked().await.expect("an acknowledgement");
        unfinished.push((upload.id, Mark::now(&system, &upload.job_id).await, upload.job_id));
    }
    for kill in 0..KILLS {
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        let server = system.server_mut(Role::Jobs, kill);
        server.kill9().await;
        server.restart().await;
    }
    for (upload_id, mark, job_id) in &unfinished {
        let events = mark.events(&system, job_id).await;
        let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
        assert!(
            seqs.iter().copied().eq(mark.seq + 1..=mark.seq + events.len() as i64),
            "{seqs:?}"
        );
        let count = |is_it: fn(&Change) -> bool| {
            events
                .iter()
                .filter_map(|event| event.change.as_ref())
                .filter(|c| is_it(c))
                .count()
        };
        let expired = |change: &Change| matches!(change, Change::UploadState(change) if change.state() == v1::UploadState::Expired);
        assert_eq!((count(expired), count(is_end)), (1, 1), "{events:?}");
        within_secs(20, "bytes that are gone", async || {
            system.upload_files(upload_id).is_empty()
        })
        .await;
    }
    let failed = system.job(&unfinished[0].2).await.state() == v1::JobState::Failed;
    let ids = || {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for delivery in receiver
            .deliveries()
            .iter()
            .filter(|delivery| delivery.event() == JOB_FAILED)
        {
            let of_job = ids.entry(delivery.job_id().expect("a job").to_owned()).or_default();
            if !of_job.contains(&delivery.id) {
                of_job.push(delivery.id.clone());
            }
        }
        ids
    };
    let told = if failed { UPLOADS } else { 0 };
    // What a server had in hand when it died is another one's after a minute.
    within_secs(100, "all webhooks", async || ids().len() >= told).await;
    assert!(
        ids().values().all(|ids| ids.len() == 1),
        "one message for each: {:?}",
        ids()
    );
}

fn told(receiver: &Receiver) -> Shape {
    let options = [
        "--upload-expiry",
        "2s",
        "--webhook-url",
        &receiver.url(),
        "--webhook-allow-private",
    ];
    Shape {
        jobs: 2,
        worker: 0,
        options: options.map(str::to_owned).to_vec(),
        env: vec![("REELWAY_WEBHOOK_SECRET".to_owned(), WEBHOOK_SECRET.to_owned())],
        ..Shape::default()
    }
}
