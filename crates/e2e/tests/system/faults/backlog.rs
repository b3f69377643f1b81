//! Watchers that stop reading while a great deal happens: it waits for them in the catalog and not in the server.

use std::time::Duration;

use bytes::Bytes;
use reelway::v1::{
    self, progress_service_client::ProgressServiceClient, watch_progress_request::Target,
    watch_progress_response::Message,
};
use tokio::time::timeout;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use crate::harness::{Role, Shape, System, memory_kib};

/// Watchers that don't read.
const STALLED: usize = 50;
/// What happens meanwhile. Kept for each of them, it would be several times what they may cost.
const EVENTS: i64 = 10_000;
/// What may be on its way to each of them, in bytes: the least that HTTP/2 begins with.
const WINDOW_BYTES: u32 = 65_535;
/// What they may cost the server together, in KiB.
const MORE_KIB_MAX: u64 = 24 << 10;
/// The longest wait for the next message.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn fault_34_a_backlog_waits_in_the_catalog() {
    let system = System::split(Shape {
        worker: 0,
        ..Shape::default()
    })
    .await;
    let upload = system
        .client()
        .create_upload(v1::CreateUploadRequest::default())
        .await
        .expect("an upload");
    let server = system.server(Role::Progress, 0);
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        // It reads what a watch begins with, and then no more.
        let narrow = Endpoint::from_shared(server.grpc_url())
            .expect("an address")
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let channel = narrow.connect().await.expect("the server takes connections");
        stalled.push(Watch::begin(channel, &upload.job_id, Bytes::new()).await);
    }
    let seq = stalled[0].seq;
    let last = seq + EVENTS;
    let before = memory_kib(server.pid());
    happens(&system, &upload.job_id);

    // Others are served meanwhile, who wait for the same and were woken with the stalled ones.
    let token = stalled[0].token.clone();
    let mut reading = Watch::begin(server.channel().await, &upload.job_id, token).await;
    reading.seq = seq;
    reading.reads_to(last).await;
    let more = memory_kib(server.pid()).saturating_sub(before);
    assert!(more < MORE_KIB_MAX, "watchers that don't read cost {more} KiB");

    let mut back = stalled.swap_remove(0);
    drop(stalled);
    back.reads_to(last).await;
    assert!(
        back.has_skipped_to.is_some(),
        "who is far behind is told first how things are now"
    );
}

/// Writes many events into the job's record, as nobody could make them happen in that time.
fn happens(system: &System, job_id: &str) {
    system.database().execute(&format!(
        "INSERT INTO job_events (job_id, seq, tenant, tenant_seq, upload_id, change, created_at_ms)
         SELECT e.job_id, jobs.event_seq + n, e.tenant, tenants.event_seq + n, e.upload_id, e.change, e.created_at_ms
         FROM job_events e JOIN jobs ON jobs.id = e.job_id JOIN tenants ON tenants.id = e.tenant,
              generate_series(1, {EVENTS}) n
         WHERE e.job_id = '{job_id}' AND e.seq = 1;
         UPDATE jobs SET event_seq = event_seq + {EVENTS} WHERE id = '{job_id}';
         UPDATE tenants SET event_seq = event_seq + {EVENTS}"
    ));
}

/// One watcher of the job.
struct Watch {
    stream: Streaming<v1::WatchProgressResponse>,
    /// The last event that it was told of, or that its snapshot held.
    seq: i64,
    token: Bytes,
    /// The last event that a later snapshot held.
    has_skipped_to: Option<i64>,
}

impl Watch {
    /// Begins to watch, and reads what a watch begins with.
    async fn begin(channel: Channel, job_id: &str, resume_token: Bytes) -> Self {
        let request = v1::WatchProgressRequest {
            target: Some(Target::JobId(job_id.to_owned())),
            resume_token,
        };
        let watch = ProgressServiceClient::new(channel).watch_progress(request).await;
        let mut stream = watch.expect("a stream").into_inner();
        let first = next(&mut stream).await;
        Self {
            seq: snapshot_of(&first).unwrap_or_else(|| panic!("no snapshot: {first:?}")),
            token: first.resume_token,
            stream,
            has_skipped_to: None,
        }
    }

    /// Reads up to the event with this number, and finds none missing and none twice.
    async fn reads_to(&mut self, last: i64) {
        while self.seq < last {
            let message = next(&mut self.stream).await;
            if let Some(seq) = snapshot_of(&message) {
                assert!(self.seq <= seq, "{message:?}");
                self.has_skipped_to = Some(seq);
            }
            if let Some(Message::Event(event)) = message.message {
                assert_eq!(event.seq, self.seq + 1, "{event:?}");
                self.seq = event.seq;
            }
        }
    }
}

/// The last event that a snapshot of the job holds.
fn snapshot_of(message: &v1::WatchProgressResponse) -> Option<i64> {
    match &message.message {
        Some(Message::Snapshot(snapshot)) => Some(snapshot.entries.first()?.job.as_ref()?.event_seq),
        _ => None,
    }
}

async fn next(stream: &mut Streaming<v1::WatchProgressResponse>) -> v1::WatchProgressResponse {
    let message = timeout(SILENCE_MAX, stream.message()).await.expect("a sign of life");
    message.expect("a message").expect("the stream goes on")
}
