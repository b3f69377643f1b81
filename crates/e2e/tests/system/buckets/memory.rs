//! However many clients there are, no more than a bounded part of their bytes is in memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Bucket, faults::upload};
use crate::harness::{Node, memory_kib, memory_peak_kib};

const UPLOADS: usize = 64;
const UPLOAD_BYTES: usize = 16 << 20;
/// The most that uploads may take, in KiB, beside what a server that does nothing takes.
const UPLOADS_KIB_MAX: u64 = 256 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded() {
    let bucket = Bucket::new().await;
    let node = Arc::new(Node::set_up(bucket.setup()).await);
    let idle = memory_kib(node.pid());
    let content = Bytes::from(vec![7; UPLOAD_BYTES]);
    let mut uploads = JoinSet::new();
    for _ in 0..UPLOADS {
        let (node, content) = (Arc::clone(&node), content.clone());
        uploads.spawn(async move { upload(&node, &content).await });
    }
    while let Some(ended) = uploads.join_next().await {
        ended.expect("each upload completes");
    }
    let peak = memory_peak_kib(node.pid());
    eprintln!(
        "{} MiB before, {} MiB at most for {UPLOADS} uploads",
        idle >> 10,
        peak >> 10
    );
    assert!(peak - idle < UPLOADS_KIB_MAX, "{idle} KiB before, {peak} KiB at most");
}
