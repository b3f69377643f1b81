//! What a task waits for is made durable as soon as it is there.

use std::time::Duration;

use reelway::v1::CreateUploadRequest;

use super::{harness::*, on_both};
use crate::Settings;

on_both!(what_a_task_waits_for_is_durable_before_its_time,);

/// What is sent at a time: small, so that the offset which the probe waits for is passed in the middle of the stream.
const PIECE_BYTES: usize = 4 << 10;

async fn what_a_task_waits_for_is_durable_before_its_time(at: At) {
    let settings = Settings {
        commit_every: Duration::from_secs(3600),
        ..Settings::default()
    };
    let node = Node::with(at, settings).await;
    let created = node.create_with(CreateUploadRequest {
        size_bytes: Some(100 * MIB as i64),
        preset: "standard".to_owned(),
        ..CreateUploadRequest::default()
    });
    let upload = created.await.unwrap();
    let (stream, _) = Stream::open(&node, chunk(&upload, 0, content(PIECE_BYTES))).await;
    let mut sent = PIECE_BYTES;
    // The writer hears of what is waited for after it has begun, so it is sent more until it acts.
    until(async || {
        stream.send(chunk(&upload, sent, content(PIECE_BYTES))).await;
        sent += PIECE_BYTES;
        node.get(&upload.id).await.durable_offset > 0
    })
    .await;
    let waited_for = 64 << 10;
    assert!(node.get(&upload.id).await.durable_offset >= waited_for, "not in vain");
    assert!(sent < 8 * MIB, "nor because so much was there");
}
