//! Streams of which nothing counts unasked, and lengths that are named late.

use reelway::v1::{self, UploadChunk, UploadState};
use reelway_domain::{Reason, limits};

use super::{harness::*, on_both};

on_both!(
    what_was_not_flushed_is_taken_back,
    a_cut_and_a_refusal_take_back_what_a_flush_did_not_count,
    finish_counts_as_flush_does,
    a_length_is_named_once,
    a_length_that_is_there_already_completes_without_bytes,
);

fn atomic(chunk: UploadChunk) -> UploadChunk {
    UploadChunk { atomic: true, ..chunk }
}

fn sized(chunk: UploadChunk, size: i64) -> UploadChunk {
    UploadChunk {
        size_bytes: Some(size),
        ..chunk
    }
}

/// How long the upload's file is, whatever of it counts.
fn file_bytes(node: &Node, upload: &v1::Upload) -> usize {
    usize::try_from(node.path(&upload.id).metadata().unwrap().len()).unwrap()
}

async fn what_was_not_flushed_is_taken_back(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    node.write(vec![chunk(&upload, 0, "abc")]).await.unwrap();
    // More than what a stream commits by itself.
    let wrong = content(20 * MIB);
    let mut messages = chunks(&upload, &wrong, 3, MIB);
    messages[0] = atomic(messages[0].clone());
    let told = node.write(messages).await.unwrap();
    assert_eq!(told.durable_offset, 3, "the stream ended without flush");
    if at == At::Disk {
        let written = file_bytes(&node, &upload);
        assert_eq!(written, wrong.len(), "and nothing of it was held in memory");
    }
    node.write(vec![chunk(&upload, 3, "def")]).await.unwrap();
    node.complete(&upload.id, 6).await.unwrap();
    assert_eq!(node.stored(&upload.id).await, b"abcdef");
}

async fn a_cut_and_a_refusal_take_back_what_a_flush_did_not_count(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(12)).await;
    let (mut stream, _) = Stream::open(&node, atomic(chunk(&upload, 0, "abc"))).await;
    stream.send(flush(chunk(&upload, 3, "def"))).await;
    assert_eq!(stream.answer().await.unwrap().unwrap().durable_offset, 6);
    stream.send(chunk(&upload, 6, "gh")).await;
    stream.send(chunk(&upload, 9, "gap")).await;
    let failure = refused(stream.end().await, Reason::OffsetMismatch);
    assert_eq!(durable(&failure), 6);

    let (stream, _) = Stream::open(&node, atomic(chunk(&upload, 6, "xxxxxx"))).await;
    if at == At::Disk {
        until(async || file_bytes(&node, &upload) == 12).await;
    }
    drop(stream);
    let id = upload.id.parse().unwrap();
    until(async || !node.server.shared.registry.writes(id)).await;
    let now = node.get(&upload.id).await;
    assert_eq!(
        (now.state(), now.durable_offset),
        (UploadState::Receiving, 6),
        "also with the last byte"
    );
    let last = [atomic(chunk(&upload, 6, "ghijkl")), flush(chunk(&upload, 12, ""))];
    assert_eq!(node.write(last.into()).await.unwrap().state(), UploadState::Complete);
    assert_eq!(node.stored(&upload.id).await, b"abcdefghijkl");
}

async fn finish_counts_as_flush_does(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let messages = vec![atomic(chunk(&upload, 0, "abc")), finish(chunk(&upload, 3, ""))];
    let done = node.write(messages).await.unwrap();
    assert_eq!((done.state(), done.size_bytes), (UploadState::Complete, Some(3)));
}

async fn a_length_is_named_once(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let told = node.write(vec![sized(chunk(&upload, 0, "abc"), 6)]).await.unwrap();
    assert_eq!((told.size_bytes, told.durable_offset), (Some(6), 3));
    let again = node.write(vec![sized(chunk(&upload, 3, "d"), 6)]).await.unwrap();
    assert_eq!(again.durable_offset, 4, "the same again is right");
    let other = node.write(vec![sized(chunk(&upload, 4, "ef"), 7)]).await;
    let failure = refused(other, Reason::SizeFixed);
    assert_eq!((failure.metadata["sizeBytes"].as_str(), durable(&failure)), ("6", 4));
    refused(node.write(vec![chunk(&upload, 4, "efg")]).await, Reason::SizeExceeded);
    let done = node.write(vec![sized(chunk(&upload, 4, "ef"), 6)]).await.unwrap();
    assert_eq!(done.state(), UploadState::Complete);
    refused(
        node.write(vec![sized(chunk(&upload, 6, ""), 7)]).await,
        Reason::SizeFixed,
    );
    assert_eq!(node.write(vec![sized(chunk(&upload, 6, ""), 6)]).await.unwrap(), done);
    let known = node.create(Some(3)).await;
    refused(
        node.write(vec![sized(chunk(&known, 0, "a"), 4)]).await,
        Reason::SizeFixed,
    );
}

async fn a_length_that_is_there_already_completes_without_bytes(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    node.write(vec![chunk(&upload, 0, "abc")]).await.unwrap();
    let short = node.write(vec![sized(chunk(&upload, 3, ""), 2)]).await;
    assert_eq!(durable(&refused(short, Reason::SizeMismatch)), 3);
    for wrong in [-1, limits::UPLOAD_BYTES_MAX + 1] {
        let failure = refused(
            node.write(vec![sized(chunk(&upload, 3, ""), wrong)]).await,
            Reason::FieldInvalid,
        );
        assert_eq!(failure.violations[0].field, "chunk.size_bytes");
    }
    assert_eq!(
        node.get(&upload.id).await.size_bytes,
        None,
        "nothing wrong was recorded"
    );
    let done = node.write(vec![sized(chunk(&upload, 3, ""), 3)]).await.unwrap();
    assert_eq!((done.state(), done.size_bytes), (UploadState::Complete, Some(3)));
}
