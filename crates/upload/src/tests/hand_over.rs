//! GetUpload with `end_writer`: whoever wants to go on asks for an offset that stays.

use std::time::{Duration, Instant};

use reelway_bus::Bus;
use reelway_domain::{FileEpoch, Reason};
use sha2::{Digest as _, Sha256};

use super::{harness::*, on_both};

on_both!(
    a_silent_writer_here_or_elsewhere_hands_over_what_came,
    a_writer_that_hears_nothing_is_fenced_out,
    what_nobody_writes_is_only_read,
    a_writer_in_full_swing_ends_too,
);

/// How soon an answer comes, whatever the writer does, on a machine that has much else to do.
const SOON: Duration = Duration::from_secs(10);

/// Opens a stream whose client falls silent after these bytes, which no flush made durable.
async fn silent(node: &Node, id: &reelway::v1::Upload, bytes: usize) -> Stream {
    let (stream, _) = Stream::open(node, chunk(id, 0, content(bytes))).await;
    match node.store.disk() {
        Some(_) => until(async || node.path(&id.id).metadata().unwrap().len() == bytes as u64).await,
        // What is in memory is seen by nobody: it is there when a slow stream is made durable.
        None => until(async || node.get(&id.id).await.durable_offset == bytes as i64).await,
    }
    stream
}

async fn a_silent_writer_here_or_elsewhere_hands_over_what_came(at: At) {
    let a = Node::sharing(at).await;
    let b = a.beside(a.bus.clone()).await;
    for asked in [&a, &b] {
        let content = content(1500);
        let upload = a.create(Some(content.len())).await;
        let mut old = silent(&a, &upload, 1000).await;
        let begin = Instant::now();
        let told = asked.end_writer(&upload.id).await;
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
        assert_eq!(told.durable_offset, 1000, "what had come counts");
        let failure = refused(old.end().await, Reason::WriterSuperseded);
        assert_eq!(durable(&failure), 1000);
        let done = b
            .write(vec![chunk(&upload, 1000, content.slice(1000..))])
            .await
            .unwrap();
        assert_eq!(done.durable_offset, 1500);
        assert_eq!(
            b.row(&upload.id).await.file_epoch,
            FileEpoch::FIRST,
            "who ends well leaves the file to anybody"
        );
        assert!(a.stored(&upload.id).await == content);
    }
}

async fn a_writer_that_hears_nothing_is_fenced_out(at: At) {
    let a = Node::sharing(at).await;
    // On a bus of its own: nothing that b says is heard.
    let b = a.beside(Bus::default()).await;
    let content = content(1500);
    let upload = a.create(Some(content.len())).await;
    let (mut old, _) = Stream::open(&a, flush(chunk(&upload, 0, content.slice(..500)))).await;
    assert_eq!(old.answer().await.unwrap().unwrap().durable_offset, 500);
    let begin = Instant::now();
    let told = b.end_writer(&upload.id).await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!(told.durable_offset, 500);
    old.send(flush(chunk(&upload, 500, content.slice(500..900)))).await;
    refused(old.end().await, Reason::WriterSuperseded);
    let row = b.row(&upload.id).await;
    assert_eq!(
        (row.writer, row.durable_offset.0),
        (None, 500),
        "and asking again costs a read"
    );
    assert_eq!(b.end_writer(&upload.id).await.durable_offset, 500);
    assert_eq!(b.row(&upload.id).await, row, "nothing was changed");
    b.write(vec![chunk(&upload, 500, content.slice(500..))]).await.unwrap();
    assert!(b.stored(&upload.id).await == content);
}

async fn what_nobody_writes_is_only_read(at: At) {
    let alone = Node::start(at).await;
    let a = Node::sharing(at).await;
    let b = a.beside(a.bus.clone()).await;
    for (writes, asks) in [(&alone, &alone), (&a, &a), (&a, &b)] {
        let upload = writes.create(Some(3)).await;
        assert_eq!(asks.end_writer(&upload.id).await, upload, "nobody wrote it yet");
        writes.write(vec![chunk(&upload, 0, "a")]).await.unwrap();
        let before = writes.row(&upload.id).await;
        assert_eq!(asks.end_writer(&upload.id).await.durable_offset, 1);
        assert_eq!(asks.row(&upload.id).await, before);
        let done = writes.write(vec![chunk(&upload, 1, "bc")]).await.unwrap();
        assert_eq!(asks.end_writer(&upload.id).await, done);
        let unknown = reelway_domain::UploadId::new().to_string();
        let status = asks.client.clone().get_upload(get(&unknown, true)).await.unwrap_err();
        assert_eq!(failure(status).reason, Reason::UploadNotFound);
    }
}

/// What is on its way when somebody asks belongs to what came.
async fn a_writer_in_full_swing_ends_too(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 0, "")).await;
    let (sender, all) = (stream.sender(), content(64 * MIB));
    let messages = chunks(&upload, &all, 0, MIB / 4);
    let sending = beside(async move {
        for chunk in messages.into_iter().cycle() {
            let message = reelway::v1::StreamUploadRequest { chunk: Some(chunk) };
            if sender.send(message).await.is_err() {
                break;
            }
        }
    });
    stream.close();
    until(async || node.get(&upload.id).await.durable_offset > 0).await;
    let begin = Instant::now();
    let told = node.end_writer(&upload.id).await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    refused(stream.end().await, Reason::WriterSuperseded);
    patient(sending).await.unwrap();
    assert_eq!(
        node.get(&upload.id).await.durable_offset,
        told.durable_offset,
        "it stays"
    );
}

/// A whole file takes no more bytes, and verifying a long one takes longer than anybody waits for an offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_verifies_the_file_is_left_in_peace() {
    let node = Node::start(At::Disk).await;
    let content = content(1000);
    let request = reelway::v1::CreateUploadRequest {
        size_bytes: Some(1000),
        expected_sha256: bytes::Bytes::copy_from_slice(&Sha256::digest(&content)),
        ..Default::default()
    };
    let upload = node.create_with(request).await.unwrap();
    node.write(vec![chunk(&upload, 0, content.slice(..400))]).await.unwrap();
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 400, "")).await;
    let restore = block(node.path(&upload.id));
    stream.send(chunk(&upload, 400, content.slice(400..))).await;
    until(async || node.get(&upload.id).await.durable_offset == 1000).await;
    let before = node.row(&upload.id).await;
    assert_eq!(node.end_writer(&upload.id).await.durable_offset, 1000);
    assert_eq!(node.row(&upload.id).await, before, "nobody was fenced out");
    assert!(node.server.shared.registry.writes(before.id));
    until(async || let_go(&node.path(&upload.id))).await;
    restore();
    refused(stream.end().await, Reason::StoreUnavailable);
    let done = node.write(vec![chunk(&upload, 1000, "")]).await.unwrap();
    assert_eq!(done.state(), reelway::v1::UploadState::Complete);
}
