//! Files that go past the server into the bucket: `reelway upload --direct`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::StatusCode;
use reelway::v1;
use reelway_testkit::{S3Call, S3Fault};
use serde_json::Value;

use super::Bucket;
use crate::harness::{Cli, Node, noise, within};

/// Three parts of 8 MiB, and one that is shorter.
const BYTES: usize = (24 << 20) + 13;
/// A test that waits longer hangs.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

async fn upload_of(node: &Node, lines: &[Value]) -> v1::Upload {
    let upload_id = lines.last().expect("a last line")["upload_id"].as_str();
    let request = v1::GetUploadRequest {
        upload_id: upload_id.expect("an id").to_owned(),
        end_writer: false,
    };
    node.client().get_upload(request).await.expect("the upload")
}

/// How many bytes of uploads came through the server, and how many went past it.
async fn counted(node: &Node) -> (f64, f64) {
    let server = &node.servers()[0];
    let of = async |name| server.metric(name).await.unwrap_or_default();
    (
        of("reelway_upload_bytes_total").await,
        of("reelway_upload_direct_bytes_total").await,
    )
}

fn args(file: &std::path::Path) -> [&str; 7] {
    let file = file.to_str().expect("text");
    ["upload", file, "--preset", "none", "--json", "--sha256", "--direct"]
}

fn event<'a>(lines: &'a [Value], name: &str) -> Option<&'a Value> {
    lines.iter().find(|line| line["event"] == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_file_comes_through_the_server() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    for (name, size) in [("large.bin", BYTES), ("small.bin", 5), ("even.bin", 16 << 20)] {
        let (cli, content) = (Cli::of(&node), Bytes::from(noise(3, size)));
        let lines = cli.json(args(&cli.file(name, &content))).await;
        bucket.has_exactly(&upload_of(&node, &lines).await, &content).await;
    }
    let all = (BYTES + 5 + (16 << 20)) as f64;
    assert_eq!(counted(&node).await, (0.0, all));
}

#[tokio::test(flavor = "multi_thread")]
async fn four_parts_are_on_their_way_at_once() {
    const LATE: Duration = Duration::from_secs(3);
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (cli, content) = (Cli::of(&node), Bytes::from(noise(5, 48 << 20)));
    let begun = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&begun);
    bucket.proxy.breaks(move |call| {
        (call == S3Call::Part).then(|| times.lock().expect("times").push(Instant::now()));
        (call == S3Call::Part).then_some(S3Fault::Late(LATE))
    });
    let lines = cli.json(args(&cli.file("large.bin", &content))).await;
    bucket.has_exactly(&upload_of(&node, &lines).await, &content).await;
    let begun = begun.lock().expect("times").clone();
    assert_eq!(begun.len(), 6);
    assert!(begun[3] - begun[0] < LATE, "four at once: {begun:?}");
    assert!(begun[4] - begun[0] >= LATE, "and no more: {begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_command_goes_on_with_what_counts() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (cli, content) = (Cli::of(&node), Bytes::from(noise(4, BYTES)));
    let file = cli.file("large.bin", &content);
    bucket
        .proxy
        .breaks_parts(|number| (number > 2).then_some(S3Fault::Late(FOR_EVER)));
    let mut first = cli.start(args(&file));
    let seen = within(WAIT_MAX, "two parts count", async || {
        let request = v1::ListUploadsRequest::default();
        let mut uploads = node.uploads().await;
        let listed = uploads.list_uploads(request).await.expect("a list").into_inner();
        let upload = listed.uploads.into_iter().next()?;
        (upload.durable_offset > 0).then_some(upload)
    })
    .await;
    first.kill9().await;
    bucket.proxy.restore();
    drop(bucket.proxy.take_calls());

    let lines = cli.json(args(&file)).await;
    let resumed = event(&lines, "upload_resumed").expect("it goes on");
    assert_eq!(resumed["upload_id"], *seen.id);
    let offset = resumed["durable_offset"].as_i64().expect("an offset");
    assert!(offset >= seen.durable_offset, "{offset} after {}", seen.durable_offset);
    let left = (BYTES - usize::try_from(offset).expect("an offset")).div_ceil(8 << 20);
    let sent = bucket.proxy.take_calls();
    let sent = sent.iter().filter(|call| **call == S3Call::Part).count();
    assert_eq!(sent, left, "what counts is not sent again");
    bucket.has_exactly(&upload_of(&node, &lines).await, &content).await;
    assert!(counted(&node).await.0 < 1.0, "nothing came through the server");
}

/// URLs that are not good any more, a store that is away, and answers that are lost: the server is asked for new URLs.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_bucket_refuses_is_put_again() {
    for fault in [
        S3Fault::Answer(StatusCode::FORBIDDEN),
        S3Fault::Answer(StatusCode::SERVICE_UNAVAILABLE),
        S3Fault::CutAfter(100_000),
        S3Fault::LostReply,
    ] {
        let bucket = Bucket::new().await;
        let node = Node::set_up(bucket.setup()).await;
        let (cli, content) = (Cli::of(&node), Bytes::from(noise(6, BYTES)));
        let mut parts = 0;
        bucket.proxy.breaks(move |call| {
            parts += u32::from(call == S3Call::Part);
            (call == S3Call::Part && [2, 3, 5].contains(&parts)).then_some(fault)
        });
        let lines = cli.json(args(&cli.file("large.bin", &content))).await;
        let sent = bucket.proxy.take_calls();
        let sent = sent.iter().filter(|call| **call == S3Call::Part).count();
        assert_eq!(sent, 4 + 3, "{fault:?}: only what was refused");
        bucket.has_exactly(&upload_of(&node, &lines).await, &content).await;
        assert!(
            counted(&node).await.0 < 1.0,
            "{fault:?}: nothing came through the server"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_bucket_the_server_takes_the_bytes() {
    server_takes_the_bytes(&Node::start().await).await;
}

pub(super) async fn server_takes_the_bytes(node: &Node) {
    let (cli, content) = (Cli::of(node), Bytes::from(noise(7, 3 << 20)));
    let ended = cli.run(args(&cli.file("small.bin", &content))).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = ended
        .err
        .iter()
        .any(|line| line.contains("the bytes go through the server"));
    assert!(told, "{ended:#?}");
    assert_eq!(upload_of(node, &ended.json()).await.state(), v1::UploadState::Complete);
    assert_eq!(counted(node).await, (content.len() as f64, 0.0));
}

/// The bucket that the server has, and that this client can't reach.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_bucket_is_out_of_reach_the_server_takes_the_bytes() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (cli, content) = (Cli::of(&node), Bytes::from(noise(9, BYTES)));
    let mut parts = 0;
    bucket.proxy.breaks(move |call| {
        parts += u32::from(call == S3Call::Part);
        // All four in eleven tries, but one; what comes then comes from the server.
        let is_ours = parts <= 1 + 3 * (1 + 11);
        (call == S3Call::Part && is_ours && parts != 1).then_some(S3Fault::CutAfter(0))
    });
    let ended = cli.run(args(&cli.file("large.bin", &content))).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = ended
        .err
        .iter()
        .any(|line| line.contains("the bytes go through the server"));
    assert!(told, "{ended:#?}");
    bucket
        .has_exactly(&upload_of(&node, &ended.json()).await, &content)
        .await;
    let (through, past) = counted(&node).await;
    assert_eq!((through + past, past <= 8_388_608.0), (content.len() as f64, true));
}

/// A stream has left less than a part: only a stream can go on from there.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_has_begun_a_stream_ends() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (cli, content) = (Cli::of(&node), Bytes::from(noise(8, BYTES)));
    let file = cli.file("large.bin", &content);
    let slow = [&args(&file)[..6], &["--limit-rate", "4M"]].concat();
    let mut first = cli.start(slow);
    within(WAIT_MAX, "some bytes are durable", async || {
        let request = v1::ListUploadsRequest::default();
        let mut uploads = node.uploads().await;
        let listed = uploads.list_uploads(request).await.expect("a list").into_inner();
        let offset = listed.uploads.first()?.durable_offset;
        (offset > 0 && offset % (8 << 20) > 0).then_some(())
    })
    .await;
    first.kill9().await;
    let ended = cli.run(args(&file)).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    bucket
        .has_exactly(&upload_of(&node, &ended.json()).await, &content)
        .await;
}
