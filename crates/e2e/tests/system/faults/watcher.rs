//! A watcher that stops reading: it costs nothing while it is away, and misses nothing when it comes back.

use std::collections::BTreeMap;

use bytes::Bytes;
use reelway::v1::{
    self, progress_service_client::ProgressServiceClient, watch_progress_request::Target,
    watch_progress_response::Message,
};
use tonic::{Streaming, transport::Channel};

use crate::harness::{Role, Shape, System, memory_kib};

/// Uploads that are created and given up while it doesn't read: each has several events.
const UPLOADS: usize = 300;
/// What a watcher that doesn't read may cost, in KiB. An embedded node does all the work besides.
const MORE_KIB_MAX: u64 = 48 << 10;

on_both!(
    fault_34_a_watcher_stalls,
    Shape {
        worker: 0,
        ..Shape::default()
    }
);

async fn fault_34_a_watcher_stalls(system: System) {
    let server = system.server(Role::Progress, 0);
    let mut stalled = watch(&mut system.progress().await, Bytes::new()).await;
    let first = stalled.message().await.expect("a message").expect("the stream goes on");
    assert!(matches!(first.message, Some(Message::Snapshot(_))), "{first:?}");

    let before = memory_kib(server.pid());
    let mut ends = BTreeMap::new();
    let client = system.client();
    for _ in 0..UPLOADS {
        let upload = client
            .create_upload(v1::CreateUploadRequest::default())
            .await
            .expect("an upload");
        let request = v1::AbortUploadRequest {
            upload_id: upload.id.clone(),
            also_complete: false,
        };
        client.abort_upload(request).await.expect("an aborted upload");
        ends.insert(upload.job_id, 0);
    }
    for (job_id, end) in &mut ends {
        *end = system.job(job_id).await.event_seq;
    }
    // Somebody who was away altogether sees everything, while the other one still holds its place.
    let mut again = watch(
        &mut ProgressServiceClient::new(server.channel().await),
        first.resume_token,
    )
    .await;
    sees_everything(&mut again, &ends).await;
    let more = memory_kib(server.pid()).saturating_sub(before);
    assert!(more < MORE_KIB_MAX, "a watcher that doesn't read cost {more} KiB");
    sees_everything(&mut stalled, &ends).await;
}

async fn watch(
    progress: &mut ProgressServiceClient<Channel>,
    resume_token: Bytes,
) -> Streaming<v1::WatchProgressResponse> {
    let request = v1::WatchProgressRequest {
        target: Some(Target::Everything(())),
        resume_token,
    };
    progress.watch_progress(request).await.expect("a stream").into_inner()
}

/// Reads until the last event of each job, and finds them in order and without a gap.
async fn sees_everything(stream: &mut Streaming<v1::WatchProgressResponse>, ends: &BTreeMap<String, i64>) {
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    while seen != *ends {
        let message = stream.message().await.expect("a message").expect("the stream goes on");
        if let Some(Message::Event(event)) = message.message {
            let last = seen.entry(event.job_id.clone()).or_default();
            assert_eq!(event.seq, *last + 1, "{event:?}");
            *last = event.seq;
        }
    }
}
