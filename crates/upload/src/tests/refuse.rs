//! What is refused while bytes are written, and that what came before it is kept.

use std::time::Duration;

use reelway::v1::{UploadChunk, UploadState, WriteUploadRequest};
use reelway_domain::{Reason, UploadId, limits};
use tonic::Code;

use super::{harness::*, on_both};
use crate::Settings;

on_both!(
    a_gap_is_answered_with_the_offset,
    nothing_is_stored_past_the_length,
    a_corrupt_chunk_is_dropped,
    large_chunks_are_refused_with_the_limit,
    fields_that_make_no_sense,
    silence_ends_a_stream_and_keeps_what_came,
);

async fn a_gap_is_answered_with_the_offset(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(100)).await;
    let written = node
        .write(vec![chunk(&upload, 0, content(10)), chunk(&upload, 11, content(10))])
        .await;
    let failure = refused(written, Reason::OffsetMismatch);
    assert_eq!(
        (failure.metadata["expectedOffset"].as_str(), durable(&failure)),
        ("10", 10)
    );
    assert_eq!(node.get(&upload.id).await.durable_offset, 10);
}

async fn nothing_is_stored_past_the_length(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(100)).await;
    let written = node
        .write(vec![chunk(&upload, 0, content(60)), chunk(&upload, 60, content(41))])
        .await;
    let failure = refused(written, Reason::SizeExceeded);
    assert_eq!(
        (failure.reason.grpc_code() as i32, durable(&failure)),
        (Code::OutOfRange as i32, 60)
    );
    assert_eq!(node.get(&upload.id).await.durable_offset, 60);
    assert!(node.has(&upload.id, 0, &content(60)).await);
}

async fn a_corrupt_chunk_is_dropped(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(20)).await;
    let data = content(20);
    let with = |from: usize, to: usize, flip: u32| UploadChunk {
        crc32c: Some(crc32c::crc32c(&data[from..to]) ^ flip),
        ..chunk(&upload, from, data.slice(from..to))
    };
    let (mut stream, _) = Stream::open(&node, with(0, 10, 0)).await;
    stream.send(with(10, 20, 4)).await;
    let failure = refused(stream.end().await, Reason::ChunkChecksumMismatch);
    assert_eq!((failure.metadata["offset"].as_str(), durable(&failure)), ("10", 10));
    assert_eq!(
        node.get(&upload.id).await.durable_offset,
        10,
        "what came before is kept"
    );
    assert_eq!(
        node.write(vec![with(10, 20, 0)]).await.unwrap().state(),
        UploadState::Complete
    );
}

async fn large_chunks_are_refused_with_the_limit(at: At) {
    let node = Node::start(at).await;
    // The first is a message that can be read, the second is refused by its length alone.
    for bytes in [limits::CHUNK_BYTES_MAX + 1, 2 * limits::CHUNK_BYTES_MAX] {
        let upload = node.create(None).await;
        let written = node
            .write(vec![chunk(&upload, 0, "abc"), chunk(&upload, 3, vec![0; bytes])])
            .await;
        let failure = refused(written, Reason::ChunkTooLarge);
        assert_eq!(failure.metadata["chunkBytesMax"], limits::CHUNK_BYTES_MAX.to_string());
        assert_eq!(durable(&failure), 3);
    }
    let upload = node.create(None).await;
    let largest = vec![chunk(&upload, 0, vec![0; limits::CHUNK_BYTES_MAX])];
    node.write(largest).await.unwrap();
}

async fn fields_that_make_no_sense(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let no_id = UploadChunk {
        upload_id: String::new(),
        ..chunk(&upload, 0, "abc")
    };
    refused(node.write(vec![no_id]).await, Reason::FieldInvalid);
    refused(node.write(vec![]).await, Reason::FieldInvalid);
    let negative = UploadChunk {
        offset: -1,
        ..chunk(&upload, 0, "abc")
    };
    refused(node.write(vec![negative]).await, Reason::FieldInvalid);
    let other = node.create(None).await;
    let written = node
        .write(vec![chunk(&upload, 0, "abc"), chunk(&other, 3, "abc")])
        .await;
    assert_eq!(durable(&refused(written, Reason::FieldInvalid)), 3);
    let no_chunk = tokio_stream::iter([WriteUploadRequest { chunk: None }]);
    let status = node.client.clone().write_upload(no_chunk).await.unwrap_err();
    assert_eq!(failure(status).violations[0].field, "chunk");
    let unknown = UploadChunk {
        upload_id: UploadId::new().to_string(),
        ..chunk(&upload, 0, "abc")
    };
    refused(node.write(vec![unknown]).await, Reason::UploadNotFound);
}

async fn silence_ends_a_stream_and_keeps_what_came(at: At) {
    let settings = Settings {
        idle_max: Duration::from_millis(100),
        ..Settings::default()
    };
    let node = Node::with(at, settings).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 0, "abc")).await;
    let failure = refused(stream.end().await, Reason::StreamIdle);
    assert_eq!(durable(&failure), 3);
    assert_eq!(node.get(&upload.id).await.durable_offset, 3);
}
