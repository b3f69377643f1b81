//! Invariant 8, coarsely: the exact figure belongs to the benchmark, which runs an optimised build.

use bytes::Bytes;
use reelway::v1;
use reelway_client::UploadProgress;
use tokio::{sync::watch, task::JoinSet};

use crate::harness::{Node, memory_peak_kib};

const UPLOADS: usize = 64;
const UPLOAD_BYTES: usize = 16 << 20;
/// What 64 uploads may cost more than one, in KiB: 2.5 MiB each, in a build that nobody optimised.
const MORE_KIB_MAX: u64 = 160 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded() {
    let data = Bytes::from(vec![7; UPLOAD_BYTES]);
    let node = Node::start().await;
    upload(&node, data.clone()).await;
    let one = memory_peak_kib(node.pid());
    let mut uploads = JoinSet::new();
    let node = std::sync::Arc::new(node);
    for _ in 0..UPLOADS {
        let (node, data) = (node.clone(), data.clone());
        uploads.spawn(async move { upload(&node, data).await });
    }
    while let Some(ended) = uploads.join_next().await {
        ended.expect("each upload completes");
    }
    let all = memory_peak_kib(node.pid());
    eprintln!("{} MiB for one upload, {} MiB for {UPLOADS}", one >> 10, all >> 10);
    assert!(
        all - one < MORE_KIB_MAX,
        "{one} KiB for one upload, {all} KiB for {UPLOADS}"
    );
}

/// One upload over a connection of its own.
async fn upload(node: &Node, data: Bytes) {
    let client = node.client();
    let size = data.len() as u64;
    let request = v1::CreateUploadRequest {
        size_bytes: Some(size as i64),
        preset: "none".to_owned(),
        ..Default::default()
    };
    let upload = client.create_upload(request).await.expect("an upload");
    let progress = watch::Sender::new(UploadProgress::default());
    let upload = client
        .upload(upload, &mut std::io::Cursor::new(data), size, &progress)
        .await
        .expect("a complete one");
    assert_eq!(upload.state(), v1::UploadState::Complete);
}
