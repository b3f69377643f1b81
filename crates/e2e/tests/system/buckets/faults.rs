//! Whatever happens on the way to the store: the bytes are those that were sent, and nothing else is left.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use reelway::v1;
use reelway_client::UploadProgress;
use reelway_testkit::{S3Call, S3Fault};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::Bucket;
use crate::harness::{Node, noise};

/// Two parts and a rest.
const BYTES: usize = (20 << 20) + 7;

/// Uploads a file while calls break, whose digest the server checks before it is complete.
async fn uploads_while(seed: u64, faults: impl FnMut(S3Call) -> Option<S3Fault> + Send + 'static) {
    uploads_into(&Bucket::new().await, seed, faults).await;
}

/// The same into this bucket.
pub(super) async fn uploads_into(
    bucket: &Bucket,
    seed: u64,
    faults: impl FnMut(S3Call) -> Option<S3Fault> + Send + 'static,
) {
    let node = Node::set_up(bucket.setup()).await;
    let content = Bytes::from(noise(seed, BYTES));
    bucket.proxy.breaks(faults);
    let upload = upload(&node, &content).await;
    bucket.proxy.restore();
    bucket.has_exactly(&upload, &content).await;
}

pub(super) async fn upload(node: &Node, content: &Bytes) -> v1::Upload {
    let (client, size) = (node.client(), content.len() as u64);
    let request = v1::CreateUploadRequest {
        size_bytes: Some(size as i64),
        expected_sha256: Bytes::copy_from_slice(&Sha256::digest(content)),
        preset: "none".to_owned(),
        ..Default::default()
    };
    let created = client.create_upload(request).await.expect("an upload");
    let progress = watch::Sender::new(UploadProgress::default());
    let mut source = std::io::Cursor::new(content.clone());
    let uploaded = client.upload(created, &mut source, size, &progress).await;
    uploaded.expect("a complete one")
}

/// The same thing happens to the first calls of each kind.
pub(super) fn first_of_each(calls_max: usize, fault: S3Fault) -> impl FnMut(S3Call) -> Option<S3Fault> {
    let mut seen = HashMap::new();
    move |call| {
        let count = seen.entry(call).or_insert(0);
        *count += 1;
        (*count <= calls_max).then_some(fault)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_errors() {
    for (seed, status) in [(1, 500), (2, 503)] {
        let status = status.try_into().expect("a status");
        uploads_while(seed, first_of_each(3, S3Fault::Answer(status))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_in_the_middle() {
    for (seed, bytes) in [(3, 0), (4, 100), (5, 1 << 20)] {
        uploads_while(seed, first_of_each(2, S3Fault::CutAfter(bytes))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_are_lost_after_success() {
    uploads_while(6, first_of_each(1, S3Fault::LostReply)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_hang_for_a_while() {
    uploads_while(7, first_of_each(2, S3Fault::Late(Duration::from_millis(700)))).await;
}

/// Every call fails until there were many, which with the pauses between them takes seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away() {
    let mut calls = 0;
    uploads_while(8, move |_| {
        calls += 1;
        (calls <= 12).then_some(S3Fault::CutAfter(0))
    })
    .await;
}
