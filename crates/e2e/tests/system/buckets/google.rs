//! Google Cloud Storage, as its XML API is on the wire: what is shown on S3 is shown there, and what it doesn't have is done otherwise.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use reelway::v1;
use reelway_testkit::{S3Call, S3Fault};

use super::{
    Bucket, direct, expired,
    faults::{first_of_each, upload, uploads_into},
    joined, killed, playing,
};
use crate::harness::{Ended, Node, Process, Setup, noise, reelway, tool, within};

/// Two parts and a rest.
const BYTES: usize = (20 << 20) + 7;
/// Slow enough to be killed in the middle.
const SLOW: &str = "6M";
/// Some bytes are durable by then.
const DURABLE_MAX: Duration = Duration::from_secs(60);
/// A look at a bucket doesn't take so long.
const DOCTOR_MAX: Duration = Duration::from_secs(60);
/// What begins each token that an account signs itself: `{"`, in Base64.
const TOKEN: &str = "Bearer eyJ";

impl Bucket {
    /// A server whose machine says who it is, without a key.
    fn setup_of_a_machine(&self) -> Setup {
        let mut setup = self.setup();
        setup.env.retain(|(name, _)| name != "GOOGLE_SERVICE_ACCOUNT");
        setup
            .env("GCE_METADATA_HOST", self.google().address().to_string())
            // Where a person's own credentials may lie.
            .env("HOME", "/nonexistent")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_moment_is_gone_on_with() {
    for seed in 20..22 {
        killed::bucket_has_exactly_the_source(&Bucket::on_google().await, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_is_given_up() {
    killed::nothing_is_left_in(&Bucket::on_google().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_expires() {
    expired::nothing_is_left_in(&Bucket::on_google().await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_on_the_way_the_bytes_are_those_that_were_sent() {
    for (seed, fault) in [
        (31, S3Fault::LostReply),
        (32, S3Fault::CutAfter(100)),
        (33, S3Fault::Answer(StatusCode::SERVICE_UNAVAILABLE)),
    ] {
        uploads_into(&Bucket::on_google().await, seed, first_of_each(2, fault)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_goes_on_after_a_kill() {
    let bucket = Bucket::on_google().await;
    let mut node = Node::set_up(bucket.setup()).await;
    let content = Bytes::from(noise(41, BYTES));
    let files = format!("{}/files/", node.http_url());
    let length = format!("Upload-Length: {BYTES}");
    let created = tus(&["POST", &files], &[&length, "Upload-Metadata: preset bm9uZQ=="]).await;
    let url = header(&created, "location").to_owned();
    let offset = async || -> usize {
        let said = tus(&["HEAD", &url, "--head"], &[]).await;
        header(&said, "upload-offset").parse().expect("an offset")
    };
    let file = node.dir().join("whole.bin");
    std::fs::write(&file, &content).expect("a file");
    let sent = [
        "--silent",
        "--upload-file",
        file.to_str().expect("text"),
        "--limit-rate",
        SLOW,
    ];
    let mut first = tokio::process::Command::new("curl");
    first.args(sent).args(patch(&url, 0));
    let first = Process::spawn(first);
    let seen = within(DURABLE_MAX, "a part is durable", async || {
        let offset = node.client().get_upload(named(&url)).await.ok()?.durable_offset;
        (offset > 8 << 20).then_some(usize::try_from(offset).expect("an offset"))
    })
    .await;
    node.kill9().await;
    drop(first);
    node.restart().await;
    let at = offset().await;
    assert!(at >= seen && at < BYTES, "{at} after {seen}");
    std::fs::write(&file, &content[at..]).expect("a file");
    let rest = ["--silent", "--fail", "--upload-file", file.to_str().expect("text")];
    let rest: Vec<_> = rest.iter().map(ToString::to_string).chain(patch(&url, at)).collect();
    tool("curl", &rest.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let upload = node.client().get_upload(named(&url)).await.expect("the upload");
    bucket.has_exactly(&upload, &content).await;
}

/// What curl says that asks so.
async fn tus(asked: &[&str], headers: &[&str]) -> String {
    let head = [
        "--silent",
        "--show-error",
        "--include",
        "--header",
        "Tus-Resumable: 1.0.0",
        "--request",
    ];
    let headers = headers.iter().flat_map(|header| ["--header", *header]);
    let args: Vec<_> = head.into_iter().chain(asked.iter().copied()).chain(headers).collect();
    tool("curl", &args).await
}

/// What curl is told to send bytes from an offset on.
fn patch(url: &str, offset: usize) -> impl Iterator<Item = String> {
    let offset = format!("Upload-Offset: {offset}");
    let headers = [
        "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream",
        &offset,
    ];
    let headers = headers.map(|header| ["--header".to_owned(), header.to_owned()]);
    let method = ["--request", "PATCH", url].map(str::to_owned);
    method.into_iter().chain(headers.into_iter().flatten())
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut fields = answer.lines().filter_map(|line| line.split_once(": "));
    let found = fields.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value.trim()));
    found.unwrap_or_else(|| panic!("no {name}: {answer}"))
}

fn named(url: &str) -> v1::GetUploadRequest {
    v1::GetUploadRequest {
        upload_id: url.rsplit('/').next().expect("an id").to_owned(),
        end_writer: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_made_and_played_by_way_of_the_server() {
    playing::plays_by_way_of_the_server(&Bucket::on_google().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_made_and_played_under_signed_addresses() {
    playing::plays_under_signed_addresses(&Bucket::on_google().await).await;
}

/// Google signs no parts for clients here, and copies nothing into parts.
#[tokio::test(flavor = "multi_thread")]
async fn what_google_does_not_do_the_server_does() {
    let bucket = Bucket::on_google().await;
    let node = Node::set_up(bucket.setup()).await;
    direct::server_takes_the_bytes(&node).await;
    let (ids, content) = joined::parts(&node, &[(17 << 20) + 3, 9 << 20, 5]).await;
    drop(bucket.proxy.take_calls());
    let upload = joined::join(&node, ids, "none").await;
    let upload = joined::joined(&node, &upload.id).await;
    bucket.has_exactly(&upload, &content).await;
    let calls = bucket.proxy.take_calls();
    assert!(!calls.contains(&S3Call::PartCopy), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_needs_no_key() {
    let bucket = Bucket::on_google().await;
    let node = Node::set_up(bucket.setup_of_a_machine()).await;
    let content = Bytes::from(noise(51, BYTES));
    bucket.has_exactly(&upload(&node, &content).await, &content).await;
}

/// With everything logged that there is.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_a_token() {
    let bucket = Bucket::on_google().await;
    let mut node = Node::set_up(bucket.setup().option("--log", "trace")).await;
    upload(&node, &Bytes::from(noise(52, BYTES))).await;
    let ended = node.terminate().await;
    assert!(ended.err.len() > 100, "nothing was logged that could tell");
    let told = ended.err.iter().chain(&ended.out).find(|line| line.contains(TOKEN));
    assert_eq!(told, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_all_rights_and_the_missing_one() {
    let bucket = Bucket::on_google().await;
    let found = doctor(&bucket).await;
    assert_eq!(verdict(&found), "ok", "{found:#?}");
    bucket
        .proxy
        .breaks(|call| (call == S3Call::Abort).then_some(S3Fault::Answer(StatusCode::FORBIDDEN)));
    let found = doctor(&bucket).await;
    assert_eq!(verdict(&found), "failed", "{found:#?}");
    assert!(found.out.concat().contains("end the multipart upload"), "{found:#?}");
}

async fn doctor(bucket: &Bucket) -> Ended {
    let (setup, dir) = (bucket.setup(), tempfile::tempdir().expect("a directory"));
    let mut doctor = reelway(["doctor", "--json"]);
    doctor.args(&setup.options).envs(setup.env);
    doctor.arg("--data").arg(dir.path().join("data"));
    Process::spawn(doctor).ended(DOCTOR_MAX).await
}

/// What the doctor says of the store.
fn verdict(ended: &Ended) -> String {
    let findings = ended.json();
    let store = findings.iter().find(|finding| finding["check"] == "store");
    store.expect("it looks at the store")["verdict"]
        .as_str()
        .expect("text")
        .to_owned()
}
