//! Several servers that expire uploads and deliver webhooks, of which some die: each is done once.

use std::time::Duration;

use rand::Rng as _;
use reelway::v1::{self, job_event::Change};
use tokio::time::sleep;

use super::{ending::WEBHOOK_SECS_MAX, jobs::is_end, seed};
use crate::harness::{Mark, Role, Shape, System, WriteStream, within_secs};

/// Uploads that nobody finishes.
const UPLOADS: usize = 20;
const KILLS: usize = 6;
/// The longest life of a server between two kills: it looks for what has expired every 5 s, beginning with its start.
const LIFE_MS_MAX: u64 = 1500;

on_both!(
    fault_37_controllers_die,
    Shape {
        jobs: 2,
        worker: 0,
        options: ["--upload-expiry", "2s"].map(str::to_owned).to_vec(),
        has_receiver: true,
        ..Shape::default()
    }
);

async fn fault_37_controllers_die(mut system: System) {
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
    let told = || system.receiver().taken("job.failed");
    within_secs(WEBHOOK_SECS_MAX, "all webhooks", async || told().len() == UPLOADS).await;
    assert!(
        told().values().all(|ids| ids.len() == 1),
        "one message for each: {:?}",
        told()
    );
}
