//! Uploads whose command was interrupted, and the same command run again.

use std::{path::Path, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Cli, Ended, Node, noise, within};

const FILE_BYTES: usize = 32 << 20;
/// Slow enough that the command can be caught in the middle, in bytes a second.
const RATE: [&str; 2] = ["--limit-rate", "16M"];
/// So much is durable when the command is interrupted.
const DURABLE_BYTES_MIN: i64 = 12 << 20;
const END_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_goes_on_where_the_server_is() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let file = cli.file("large.bin", &noise(1, FILE_BYTES));
    let args = upload(&file, &["--sha256"]);
    let mut first = cli.start(args.iter().copied().chain(RATE));
    let (upload_id, seen) = in_the_middle(&node).await;
    first.kill9().await;

    let lines = cli.json(&args).await;
    let resumed = line(&lines, "upload_resumed");
    assert_eq!(resumed["upload_id"], *upload_id);
    let offset = resumed["durable_offset"].as_i64().expect("an offset");
    assert!(
        (seen..FILE_BYTES as i64).contains(&offset),
        "{seen} bytes were durable, it goes on after {offset}"
    );
    let progress = lines.iter().filter(|line| line["event"] == "upload_progress");
    assert!(progress.clone().count() > 0, "{lines:?}");
    for line in progress {
        assert!(
            line["durable_offset"].as_i64() >= Some(offset),
            "nothing is sent again: {line}"
        );
    }
    is_stored(&node, lines.last().expect("a last line"), &upload_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_prints_the_command_that_goes_on() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let file = cli.file("it's large.bin", &noise(2, FILE_BYTES));
    let mut first = cli.start(upload(&file, &RATE));
    let (upload_id, _) = in_the_middle(&node).await;
    first.signal(Signal::SIGINT);
    let ended = first.ended(END_MAX).await;
    assert_eq!(ended.code, Some(75), "{ended:#?}");
    assert_eq!(ended.json().last().expect("a last line")["state"], "interrupted");

    let again = cli.shell(continuation(&ended)).await;
    assert_eq!(again.code, Some(0), "{again:#?}");
    let lines = again.json();
    assert!(line(&lines, "upload_resumed")["durable_offset"].as_i64() >= Some(DURABLE_BYTES_MIN));
    is_stored(&node, lines.last().expect("a last line"), &upload_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_the_server() {
    let mut node = Node::start().await;
    let cli = Cli::of(&node);
    let file = cli.file("large.bin", &noise(3, FILE_BYTES));
    let mut first = cli.start(upload(&file, &["--sha256", RATE[0], RATE[1]]));
    let (upload_id, _) = in_the_middle(&node).await;
    node.kill9().await;
    let is_waiting = |line: &str| line.contains(r#""event":"upload_waiting""#).then_some(());
    first.out.find(END_MAX, "a word about the wait", is_waiting).await;
    node.restart().await;
    let ended = first.ended(END_MAX).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    is_stored(&node, ended.json().last().expect("a last line"), &upload_id).await;
}

fn upload<'a>(file: &'a Path, options: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["upload", file.to_str().expect("text"), "--preset", "none", "--json"];
    args.extend(options);
    args
}

/// Waits until the only upload is well under way; gives its id and durable offset.
async fn in_the_middle(node: &Node) -> (String, i64) {
    within(Duration::from_secs(30), "an upload under way", async || {
        let uploads = node
            .client()
            .list_uploads(reelway::v1::ListUploadsRequest::default())
            .await
            .expect("a list")
            .uploads;
        let upload = uploads
            .into_iter()
            .find(|upload| upload.durable_offset >= DURABLE_BYTES_MIN)?;
        assert!(upload.durable_offset < FILE_BYTES as i64, "too late to interrupt it");
        Some((upload.id, upload.durable_offset))
    })
    .await
}

async fn is_stored(node: &Node, last: &Value, upload_id: &str) {
    assert_eq!(
        (&last["state"], &last["upload_id"]),
        (&Value::from("complete"), &Value::from(upload_id)),
        "{last}"
    );
    let request = reelway::v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer: false,
    };
    let upload = node.client().get_upload(request).await.expect("an upload");
    assert_eq!(
        (upload.state(), upload.durable_offset),
        (reelway::v1::UploadState::Complete, FILE_BYTES as i64)
    );
}

fn line<'a>(lines: &'a [Value], event: &str) -> &'a Value {
    lines
        .iter()
        .find(|line| line["event"] == event)
        .unwrap_or_else(|| panic!("no {event} in {lines:?}"))
}

/// The command that the hint names.
fn continuation(ended: &Ended) -> &str {
    let hint = ended.err.iter().find_map(|line| line.split_once("to continue: "));
    hint.unwrap_or_else(|| panic!("no hint in {:?}", ended.err)).1
}
