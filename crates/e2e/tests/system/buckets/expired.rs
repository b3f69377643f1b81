//! Uploads that nobody ends.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use reelway::v1;
use reelway_blob::{Held, Owner, What};

use super::Bucket;
use crate::harness::{Node, WriteStream, noise, within};

/// The expirer looks every five seconds.
const GONE_MAX: Duration = Duration::from_secs(60);

impl Bucket {
    /// Everything that belongs to some upload.
    async fn of_uploads(&self) -> Vec<Held> {
        let all: Vec<Held> = self.store().await.held().try_collect().await.expect("a listing");
        let is_of_upload = |held: &Held| matches!(held.owner, Owner::Upload(_));
        all.into_iter().filter(is_of_upload).collect()
    }
}

/// Of uploads that a stream, a client of the bucket, or nobody was writing when the server was killed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_a_killed_server_was_writing() {
    nothing_is_left_in(&Bucket::new().await, true).await;
}

/// Whether some of it comes past the server.
pub(super) async fn nothing_is_left_in(bucket: &Bucket, is_direct: bool) {
    let mut node = Node::set_up(bucket.setup().option("--upload-expiry", "4s")).await;
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        size_bytes: Some(64 << 20),
        ..Default::default()
    };
    let (client, mut uploads) = (node.client(), node.uploads().await);
    let streamed = client.create_upload(request.clone()).await.expect("an upload");
    let direct = client.create_upload(request).await.expect("an upload");
    let mut stream = WriteStream::open(&mut uploads, &streamed.id).await.expect("a stream");
    for piece in noise(9, 20 << 20).chunks(1 << 20) {
        stream.send(piece.to_vec()).await;
    }
    stream.send_flushed("more").await;
    stream.acked().await.expect("an answer");
    if is_direct {
        let request = v1::CreateUploadPartsRequest {
            upload_id: direct.id.clone(),
            ..Default::default()
        };
        client.create_upload_parts(request).await.expect("parts");
    }
    let held = bucket.of_uploads().await;
    node.kill9().await;
    let multiparts = held.iter().filter(|held| matches!(held.what, What::Multipart(_)));
    assert_eq!(multiparts.count(), 1 + usize::from(is_direct), "{held:?}");
    assert!(
        held.len() >= 2 + usize::from(is_direct),
        "and what comes behind the last part: {held:?}"
    );
    node.restart().await;
    within(GONE_MAX, "nothing is left", async || {
        bucket.of_uploads().await.is_empty().then_some(())
    })
    .await;
    for id in [streamed.id, direct.id] {
        let request = v1::GetUploadRequest {
            upload_id: id,
            end_writer: false,
        };
        let upload = node.client().get_upload(request).await.expect("the upload");
        assert_eq!(upload.state(), v1::UploadState::Expired);
    }
}
