//! How often the store is asked.

use bytes::Bytes;
use reelway::v1;
use reelway_testkit::S3Call;

use super::Bucket;
use crate::harness::{Node, WriteStream};

/// Writes that each fit into the part that is being filled.
const WRITES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn one_call_for_an_acknowledged_write_and_none_for_an_offset() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    };
    let created = node.client().create_upload(request).await.expect("an upload");
    let mut uploads = node.uploads().await;
    let mut stream = WriteStream::open(&mut uploads, &created.id).await.expect("a stream");
    drop(bucket.proxy.take_calls());
    for _ in 0..WRITES {
        stream.send_flushed(Bytes::from(vec![7; 100_000])).await;
        stream.acked().await.expect("an answer");
        assert_eq!(bucket.proxy.take_calls(), [S3Call::Put]);
        let request = v1::GetUploadRequest {
            upload_id: created.id.clone(),
            end_writer: false,
        };
        node.uploads().await.get_upload(request).await.expect("the upload");
        assert_eq!(bucket.proxy.take_calls(), [], "the offset is in the catalog");
    }
    // Whole parts: one call each, and one that begins them all.
    stream.send_flushed(Bytes::new()).await;
    let whole = Bytes::from(vec![8; 1 << 20]);
    for _ in 0..23 {
        stream.send(whole.clone()).await;
    }
    let upload = stream.finish().await.expect("it is complete");
    let calls = bucket.proxy.take_calls();
    let count = |call| calls.iter().filter(|seen| **seen == call).count();
    assert_eq!(upload.state(), v1::UploadState::Complete);
    assert_eq!((count(S3Call::Begin), count(S3Call::Complete)), (1, 1), "{calls:?}");
    assert_eq!(count(S3Call::Part), 4, "three whole ones and the last: {calls:?}");
    assert!(count(S3Call::Get) <= WRITES, "each rest is read back once: {calls:?}");
}
