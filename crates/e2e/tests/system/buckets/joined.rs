//! Uploads that are put together in the bucket, by the bucket.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use hyper::StatusCode;
use reelway::v1;
use reelway_testkit::{S3Call, S3Fault};
use tokio::sync::Notify;

use super::Bucket;
use crate::harness::{Clip, Node, WriteStream, clip, noise, within};

/// An upload is put together by then.
const JOINED_MAX: Duration = Duration::from_secs(60);
/// A short clip is encoded by then.
const JOB_MAX: Duration = Duration::from_secs(120);
/// What requests and answers without an upload's bytes are shorter than, all together.
const WORDS_BYTES_MAX: u64 = 100_000;

/// A complete partial upload with these bytes.
pub(super) async fn part(node: &Node, content: &[u8]) -> String {
    let request = v1::CreateUploadRequest {
        partial: true,
        size_bytes: Some(i64::try_from(content.len()).expect("a length")),
        ..Default::default()
    };
    let id = node.client().create_upload(request).await.expect("an upload").id;
    let mut stream = WriteStream::open(&mut node.uploads().await, &id)
        .await
        .expect("a stream");
    for piece in content.chunks(1 << 20) {
        stream.send(piece.to_vec()).await;
    }
    stream.finish().await.expect("it is complete");
    id
}

/// Complete partial uploads, with all their bytes.
pub(super) async fn parts(node: &Node, sizes: &[usize]) -> (Vec<String>, Bytes) {
    let content = Bytes::from(noise(7, sizes.iter().sum()));
    let (mut ids, mut begin) = (Vec::new(), 0);
    for size in sizes {
        ids.push(part(node, &content[begin..begin + size]).await);
        begin += size;
    }
    (ids, content)
}

pub(super) async fn join(node: &Node, part_upload_ids: Vec<String>, preset: &str) -> v1::Upload {
    let request = v1::CreateUploadRequest {
        preset: preset.to_owned(),
        part_upload_ids,
        ..Default::default()
    };
    node.client().create_upload(request).await.expect("an upload")
}

pub(super) async fn joined(node: &Node, upload_id: &str) -> v1::Upload {
    within(JOINED_MAX, "it is put together", async || {
        let request = v1::GetUploadRequest {
            upload_id: upload_id.to_owned(),
            end_writer: false,
        };
        let upload = node.client().get_upload(request).await.ok()?;
        (upload.state() != v1::UploadState::Receiving).then_some(upload)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn long_parts_are_joined_without_a_byte_through_the_server() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (ids, content) = parts(&node, &[(40 << 20) + 3, 9 << 20, (20 << 20) + 7]).await;
    drop((bucket.proxy.take_calls(), bucket.proxy.take_body_bytes()));
    let upload = join(&node, ids.clone(), "none").await;
    let upload = joined(&node, &upload.id).await;
    let (calls, bytes) = (bucket.proxy.take_calls(), bucket.proxy.take_body_bytes());
    let count = |call| calls.iter().filter(|seen| **seen == call).count();
    assert_eq!((count(S3Call::PartCopy), count(S3Call::Part)), (3, 0), "{calls:?}");
    assert!(bytes < WORDS_BYTES_MAX, "{bytes} bytes went through the server");
    bucket.has_exactly(&upload, &content).await;
    for id in ids {
        assert_eq!(bucket.held(&id).await.len(), 1, "parts stay until they expire");
    }
}

/// Somebody wants to encode it, and what is too short to be a part of a multipart upload lies between.
#[tokio::test(flavor = "multi_thread")]
async fn short_parts_are_filled_up_and_no_more() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (ids, content) = parts(&node, &[20 << 20, 100, 1 << 20, 40 << 20, 5]).await;
    drop(bucket.proxy.take_calls());
    let upload = join(&node, ids, "standard").await;
    let upload = joined(&node, &upload.id).await;
    let calls = bucket.proxy.take_calls();
    let count = |call| calls.iter().filter(|seen| **seen == call).count();
    assert_eq!((count(S3Call::PartCopy), count(S3Call::Part)), (2, 2), "{calls:?}");
    bucket.has_exactly(&upload, &content).await;
}

/// What the store copies can't be read before the upload is complete, and nothing waits for it any longer.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_has_joined_is_encoded() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let mut film = std::fs::read(clip(Clip::short(4)).await).expect("a clip");
    // A box of bytes that mean nothing makes it long.
    let padding = noise(4, 24 << 20);
    let length = u32::try_from(8 + padding.len()).expect("a length");
    film.extend([&length.to_be_bytes()[..], b"free", &padding].concat());
    let (front, back) = film.split_at(12 << 20);
    let ids = vec![part(&node, front).await, part(&node, back).await];
    drop(bucket.proxy.take_calls());
    let upload = join(&node, ids, "fast").await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    let calls = bucket.proxy.take_calls();
    assert_eq!(
        calls.iter().filter(|seen| **seen == S3Call::PartCopy).count(),
        2,
        "{calls:?}"
    );
    bucket.has_exactly(&joined(&node, &upload.id).await, &film.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_store_does_not_copy_the_server_does() {
    for status in [StatusCode::NOT_IMPLEMENTED, StatusCode::BAD_REQUEST] {
        let bucket = Bucket::new().await;
        let node = Node::set_up(bucket.setup()).await;
        let (ids, content) = parts(&node, &[(17 << 20) + 3, 9 << 20]).await;
        bucket
            .proxy
            .breaks(move |call| (call == S3Call::PartCopy).then_some(S3Fault::Answer(status)));
        let upload = join(&node, ids, "none").await;
        let upload = joined(&node, &upload.id).await;
        bucket.has_exactly(&upload, &content).await;
    }
}

/// Copies that come late, or twice, from a server that is dead by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_the_store_copies_is_gone_on_with() {
    for fault in [S3Fault::LostReply, S3Fault::Late(Duration::from_secs(2))] {
        let bucket = Bucket::new().await;
        let mut node = Node::set_up(bucket.setup()).await;
        let (ids, content) = parts(&node, &[(12 << 20) + 3, 9 << 20, 11 << 20]).await;
        let (moment, left) = (Arc::new(Notify::new()), Arc::new(Mutex::new(1)));
        let told = Arc::clone(&moment);
        bucket.proxy.breaks(move |call| {
            let mut left = left.lock().ok()?;
            if call != S3Call::PartCopy || *left == 0 {
                return None;
            }
            *left -= 1;
            told.notify_one();
            Some(fault)
        });
        let upload = join(&node, ids, "none").await;
        tokio::time::timeout(JOINED_MAX, moment.notified())
            .await
            .expect("a copy");
        node.kill9().await;
        node.restart().await;
        let upload = joined(&node, &upload.id).await;
        bucket.has_exactly(&upload, &content).await;
    }
}
