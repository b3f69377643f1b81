//! A server that is killed at any moment, and a command that goes on by itself.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reelway::v1;
use reelway_testkit::S3Fault;
use tokio::{sync::Notify, time::timeout};

use super::Bucket;
use crate::harness::{Cli, Node, noise};

const BYTES: usize = (44 << 20) + 13;
const KILLS: usize = 3;
const END_MAX: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_has_exactly_the_source() {
    for seed in 0..3 {
        bucket_has_exactly_the_source(&Bucket::new().await, seed).await;
    }
}

/// Kills the server several times while a file arrives, and looks at what the bucket has in the end.
pub(super) async fn bucket_has_exactly_the_source(bucket: &Bucket, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut node = Node::set_up(bucket.setup()).await;
    let (cli, content) = (Cli::of(&node), Bytes::from(noise(seed, BYTES)));
    let file = cli.file("large.bin", &content);
    let file = file.to_str().expect("text");
    let args = ["upload", file, "--preset", "none", "--json", "--sha256"];
    let mut command = cli.start(args.iter().copied().chain(["--limit-rate", "24M"]));
    for _ in 0..KILLS {
        // At some call to the store, before or after the store has done it.
        let (mut left, moment) = (dice.random_range(1..8_u32), Arc::new(Notify::new()));
        let (told, is_done_first) = (Arc::clone(&moment), dice.random_bool(0.5));
        bucket.proxy.breaks(move |_| {
            left = left.checked_sub(1)?;
            if left > 0 {
                return None;
            }
            told.notify_one();
            Some(match is_done_first {
                true => S3Fault::LostReply,
                false => S3Fault::CutAfter(1000),
            })
        });
        // The upload may have ended before there were so many calls.
        let is_over = async {
            tokio::select! {
                () = moment.notified() => false,
                () = command.over() => true,
            }
        };
        if timeout(END_MAX, is_over).await.expect("a call or an end") {
            break;
        }
        node.kill9().await;
        bucket.proxy.restore();
        node.restart().await;
    }
    bucket.proxy.restore();
    let ended = command.ended(END_MAX).await;
    assert_eq!(ended.code, Some(0), "seed {seed}: {ended:#?}");
    let lines = ended.json();
    let offsets = lines.iter().filter_map(|line| line["durable_offset"].as_i64());
    assert!(offsets.is_sorted(), "seed {seed}: an offset went back: {lines:#?}");
    let upload_id = lines.last().expect("a last line")["upload_id"].as_str();
    let request = v1::GetUploadRequest {
        upload_id: upload_id.expect("an id").to_owned(),
        end_writer: false,
    };
    let got = node.uploads().await.get_upload(request).await.expect("the upload");
    let upload = got.into_inner().upload.expect("the upload");
    bucket.has_exactly(&upload, &content).await;
}

/// Nothing is left of an upload that was given up, whoever was killed while it was written.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_is_given_up() {
    nothing_is_left_in(&Bucket::new().await).await;
}

pub(super) async fn nothing_is_left_in(bucket: &Bucket) {
    let mut node = Node::set_up(bucket.setup()).await;
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    };
    let created = node.client().create_upload(request).await.expect("an upload");
    let mut uploads = node.uploads().await;
    let mut stream = crate::harness::WriteStream::open(&mut uploads, &created.id)
        .await
        .expect("a stream");
    for piece in noise(9, 20 << 20).chunks(1 << 20) {
        stream.send(piece.to_vec()).await;
    }
    stream.send_flushed("more").await;
    stream.acked().await.expect("an answer");
    node.kill9().await;
    assert!(bucket.held(&created.id).await.len() >= 2, "parts and a rest");
    node.restart().await;
    let request = v1::AbortUploadRequest {
        upload_id: created.id.clone(),
        also_complete: false,
    };
    node.uploads()
        .await
        .abort_upload(request)
        .await
        .expect("it is given up");
    assert_eq!(bucket.held(&created.id).await, []);
}
