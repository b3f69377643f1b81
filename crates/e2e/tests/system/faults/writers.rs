//! Several writers on one upload: the newest wins, at once, and bytes never interleave.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng as _;
use reelway::v1::upload_service_client::UploadServiceClient;
use reelway_testkit::{FaultProxy, Way};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::{calls::created, seed};
use crate::harness::{Role, Shape, System, WriteStream, channel, within_secs};

/// How often the upload is taken over.
const TAKEOVERS: usize = 12;
const CHUNK_BYTES_MAX: usize = 60_000;
/// What is promised of the stream that was taken over from, on whichever server it is.
const FENCED_MAX: Duration = Duration::from_secs(1);

on_both!(fault_04_two_writers_never_interleave, shape());
on_both!(fault_05_dead_socket_takeover, shape());

fn shape() -> Shape {
    Shape {
        upload: 2,
        worker: 0,
        ..Shape::default()
    }
}

/// Each writer has a byte of its own, and sends as fast as it can until it is refused.
async fn fault_04_two_writers_never_interleave(system: System) {
    let (mut random, _) = seed::random();
    let upload_id = created(&mut system.uploads().await).await;
    let mut runs: Vec<(usize, u8)> = Vec::new();
    let mut before: Option<JoinHandle<Status>> = None;
    for n in 0..TAKEOVERS {
        let mut uploads = system.uploads_of(n).await;
        let mut stream = WriteStream::open(&mut uploads, &upload_id)
            .await
            .expect("the newest is taken");
        is_fenced(before.take()).await;
        let byte = b'a' + u8::try_from(n).expect("few");
        runs.push((stream.at(), byte));
        let piece = Bytes::from(vec![byte; random.random_range(1..CHUNK_BYTES_MAX)]);
        stream.send_flushed(piece.clone()).await;
        stream.acked().await.expect("the newest is not refused");
        before = Some(tokio::spawn(stream.pour(piece)));
    }
    let mut uploads = system.uploads_of(TAKEOVERS).await;
    let last = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    is_fenced(before).await;
    let size = last.at();
    runs.push((size, 0));
    last.finish().await.expect("a complete upload");
    let stored = system.stored(&upload_id);
    assert_eq!(stored.len(), size);
    for pair in runs.windows(2) {
        let ((from, byte), (to, _)) = (pair[0], pair[1]);
        let is_his = from < to && stored[from..to].iter().all(|b| *b == byte);
        assert!(is_his, "from {from} to {to} all is {byte}: {runs:?}");
    }
}

async fn is_fenced(writer: Option<JoinHandle<Status>>) {
    if let Some(writer) = writer {
        let status = writer.await.expect("a writer ends with a status");
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
    }
}

/// Nothing gets through to the first server any more, which holds the stream all the same.
async fn fault_05_dead_socket_takeover(system: System) {
    let wire = FaultProxy::before(system.server(Role::Upload, 0).grpc()).await;
    let mut through = UploadServiceClient::new(channel(&format!("http://{}", wire.address())).await);
    let upload_id = created(&mut through).await;
    let mut first = WriteStream::open(&mut through, &upload_id).await.expect("a stream");
    first.send_flushed(vec![b'a'; CHUNK_BYTES_MAX]).await;
    first.acked().await.expect("an acknowledgement");
    // Some of this arrives, and none of it is committed.
    first.send(vec![b'b'; CHUNK_BYTES_MAX]).await;
    within_secs(30, "bytes that don't count yet", async || {
        system.written_bytes(&upload_id) > CHUNK_BYTES_MAX as u64
    })
    .await;
    wire.to_server(Way::HELD);
    let first = tokio::spawn(first.pour(Bytes::from_static(b"c")));

    let asked_at = Instant::now();
    let mut uploads = system.uploads_of(1).await;
    let mut second = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    assert!(
        asked_at.elapsed() < FENCED_MAX,
        "the take-over took {:?}",
        asked_at.elapsed()
    );
    let taken_at = Instant::now();
    is_fenced(Some(first)).await;
    assert!(
        taken_at.elapsed() < FENCED_MAX,
        "the first stream ended after {:?}",
        taken_at.elapsed()
    );
    let from = second.at();
    assert!(from >= CHUNK_BYTES_MAX, "what was acknowledged counts: {from}");
    // What was on its way arrives now, too late.
    wire.restore();
    second.send(vec![b'd'; 7]).await;
    second.finish().await.expect("a complete upload");
    let sent = [
        vec![b'a'; CHUNK_BYTES_MAX],
        vec![b'b'; from - CHUNK_BYTES_MAX],
        vec![b'd'; 7],
    ]
    .concat();
    assert!(system.stored(&upload_id) == sent);
}
