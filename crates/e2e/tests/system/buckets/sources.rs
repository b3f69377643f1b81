//! What becomes of sources after success: removed, or moved to the archive store, by whatever is killed meanwhile.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use reelway::v1;
use reelway_client::UploadProgress;
use reelway_testkit::{S3Call, S3Fault};
use tokio::sync::{Notify, watch};

use super::{Bucket, REMOVED_MAX};
use crate::harness::{Cli, Clip, Node, Playback, Setup, System, clip, tool, upload, within};

/// A short clip is done long before.
const JOB_MAX: Duration = Duration::from_secs(120);
/// A mover that was killed is waited for until its lease has run out.
const TAKEN_OVER_MAX: Duration = Duration::from_secs(150);

impl Bucket {
    /// This one for sources that have served, beside whatever `setup` says.
    fn for_archive(&self, setup: Setup) -> Setup {
        setup
            .option("--archive-store", &self.url)
            .option("--archive-store-endpoint", self.proxy.url())
    }
}

fn on_disk(setup: Setup, dir: &Path) -> Setup {
    setup.option("--archive-store", format!("file://{}", dir.display()))
}

async fn content() -> Bytes {
    Bytes::from(fs::read(clip(Clip::short(5)).await).expect("the clip"))
}

/// The clip as an upload, with a job that wants this of its source.
async fn request(action: v1::SourceAction) -> v1::CreateUploadRequest {
    v1::CreateUploadRequest {
        size_bytes: Some(i64::try_from(content().await.len()).expect("a length")),
        file_name: "clip.mp4".to_owned(),
        preset: "fast".to_owned(),
        source_action: action.into(),
        ..Default::default()
    }
}

/// Uploads a clip, and waits for the job that wants this of its source.
async fn made(node: &System, action: v1::SourceAction) -> v1::Upload {
    let path = clip(Clip::short(5)).await;
    let upload = upload(&node.client(), request(action).await, &path).await;
    succeeded(node, &upload.job_id).await;
    upload
}

async fn succeeded(node: &System, job: &str) -> v1::Job {
    let job = node.job_ended(job, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    job
}

async fn plays(node: &System, job: &str) {
    let (job, dir) = (node.job(job).await, tempfile::tempdir().expect("a directory"));
    let playback = Playback::fetch(&job.playback_url, dir.path()).await;
    assert!(playback.variants.len() >= 2, "{:?}", playback.variants);
}

async fn got(node: &System, upload: &str) -> v1::Upload {
    let request = v1::GetUploadRequest {
        upload_id: upload.to_owned(),
        end_writer: false,
    };
    node.client().get_upload(request).await.expect("the upload")
}

/// Waits until its source is there.
async fn is(node: &System, upload: &str, state: v1::SourceState) {
    within(TAKEN_OVER_MAX, "the source is where it belongs", async || {
        (got(node, upload).await.source_state() == state).then_some(())
    })
    .await;
}

fn new_job(upload: &str) -> v1::CreateJobRequest {
    v1::CreateJobRequest {
        upload_id: upload.to_owned(),
        processing: Some(v1::create_job_request::Processing::Preset("fast".to_owned())),
        ..Default::default()
    }
}

/// A job for its archived source works.
async fn another_job_reads_it(node: &System, upload: &str) {
    let job = node.client().create_job(new_job(upload)).await.expect("a job");
    succeeded(node, &job.id).await;
    plays(node, &job.id).await;
}

/// A job for a removed source is refused, by gRPC and by HTTP.
async fn is_refused(node: &Node, upload: &str) {
    let refused = node.client().create_job(new_job(upload)).await.expect_err("it is gone");
    assert_eq!(refused.reason(), "SOURCE_REMOVED", "{refused}");
    let body = format!("{{\"uploadId\": \"{upload}\", \"preset\": \"fast\"}}");
    let said = posted(&node.http_url(), "/v1/jobs", &body).await;
    assert!(said.contains(" 410 ") && said.contains("SOURCE_REMOVED"), "{said}");
}

/// What curl hears, with its head.
async fn posted(url: &str, path: &str, body: &str) -> String {
    let url = format!("{url}{path}");
    let args = [
        "-sS",
        "-i",
        "-H",
        "Content-Type: application/json",
        "--data-binary",
        body,
    ];
    tool("curl", &[&args[..], &[&url]].concat()).await
}

/// The only file of an upload in a store on a disk.
fn only_file(store: &Path, upload: &str) -> Vec<u8> {
    let shard = store.join("uploads").join(&upload[upload.len() - 2..]);
    let entries = fs::read_dir(shard).expect("a directory").filter_map(Result::ok);
    let files: Vec<_> = entries.map(|entry| entry.path()).collect();
    let [only] = files.as_slice() else { panic!("{files:?}") };
    fs::read(only).expect("its bytes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_on_a_disk_is_removed_by_preset() {
    let node = Node::with(&["--preset-source", "fast=delete"]).await;
    let (cli, file) = (Cli::of(&node), clip(Clip::short(5)).await);
    let file = file.to_str().expect("a plain path");
    let lines = cli
        .json(["upload", file, "--preset", "fast", "--source", "keep", "--json"])
        .await;
    let id = lines.last().expect("a line")["upload_id"].as_str().expect("an id");
    let kept = got(&node, id).await;
    let gone = made(&node, v1::SourceAction::Unspecified).await;
    assert_eq!(node.job(&gone.job_id).await.source_action(), v1::SourceAction::Delete);
    is(&node, &gone.id, v1::SourceState::Removed).await;
    within(REMOVED_MAX, "nothing is left of it", async || {
        node.upload_files(&gone.id).is_empty().then_some(())
    })
    .await;
    assert!(
        node.stored(&kept.id) == content().await,
        "the caller wins over the preset"
    );
    assert_eq!(got(&node, &kept.id).await.source_state(), v1::SourceState::Stored);
    is_refused(&node, &gone.id).await;
    plays(&node, &gone.job_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_a_bucket_is_removed_and_two_jobs_wait_for_each_other() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (client, path) = (node.client(), clip(Clip::short(5)).await);
    let created = client.create_upload(request(v1::SourceAction::Delete).await).await;
    let created = created.expect("an upload");
    let (id, first) = (created.id.clone(), created.job_id.clone());
    // Both wait for the bytes, so neither has ended before the other is there.
    let second = client.create_job(new_job(&id)).await.expect("a job").id;
    let progress = watch::Sender::new(UploadProgress::default());
    client
        .upload_file(created, &path, &progress)
        .await
        .expect("a complete upload");
    for job in [&first, &second] {
        succeeded(&node, job).await;
    }
    is(&node, &id, v1::SourceState::Removed).await;
    within(REMOVED_MAX, "nothing is left of it", async || {
        bucket.held(&id).await.is_empty().then_some(())
    })
    .await;
    for job in [&first, &second] {
        plays(&node, job).await;
    }
    is_refused(&node, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_moved_from_a_bucket_to_a_disk() {
    let (bucket, dir) = (Bucket::new().await, tempfile::tempdir().expect("a directory"));
    let node = Node::set_up(on_disk(bucket.setup(), dir.path())).await;
    let upload = made(&node, v1::SourceAction::Archive).await;
    is(&node, &upload.id, v1::SourceState::Archived).await;
    within(REMOVED_MAX, "nothing of it is left in the bucket", async || {
        bucket.held(&upload.id).await.is_empty().then_some(())
    })
    .await;
    assert!(only_file(dir.path(), &upload.id) == content().await);
    another_job_reads_it(&node, &upload.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_moved_from_a_disk_to_a_bucket_and_removed_there() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.for_archive(Setup::default())).await;
    let upload = made(&node, v1::SourceAction::Archive).await;
    is(&node, &upload.id, v1::SourceState::Archived).await;
    within(REMOVED_MAX, "nothing of it is left on the disk", async || {
        node.upload_files(&upload.id).is_empty().then_some(())
    })
    .await;
    bucket.has_exactly(&upload, &content().await).await;
    another_job_reads_it(&node, &upload.id).await;

    let found = leftovers(&node, &bucket).await;
    let of_upload = |line: &&serde_json::Value| line["key"].as_str().is_some_and(|key| key.contains(&upload.id));
    assert_eq!(found.iter().find(of_upload), None, "an archived source is known");

    let mut last = new_job(&upload.id);
    last.source_action = v1::SourceAction::Delete.into();
    let job = node.client().create_job(last).await.expect("a job");
    succeeded(&node, &job.id).await;
    is(&node, &upload.id, v1::SourceState::Removed).await;
    within(REMOVED_MAX, "nothing of it is left anywhere", async || {
        bucket.held(&upload.id).await.is_empty().then_some(())
    })
    .await;
    is_refused(&node, &upload.id).await;
}

/// What `reelway store leftovers` finds in the archive, however young it is.
async fn leftovers(node: &Node, bucket: &Bucket) -> Vec<serde_json::Value> {
    let (data, endpoint) = (node.data(), bucket.proxy.url());
    let args = [
        "store",
        "leftovers",
        "--json",
        "--older-than",
        "0s",
        "--data",
        data.to_str().expect("a plain path"),
        "--archive-store",
        &bucket.url,
        "--archive-store-endpoint",
        &endpoint,
    ];
    Cli::of(node).json(args).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mover_is_killed_before_it_knows_that_its_copy_is_whole() {
    killed_at(S3Call::Head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mover_is_killed_before_it_has_compared() {
    killed_at(S3Call::Get).await;
}

/// Kills the server at a call that only the mover makes.
async fn killed_at(call: S3Call) {
    let bucket = Bucket::new().await;
    let mut node = Node::set_up(bucket.for_archive(Setup::default())).await;
    let moment = Arc::new(Notify::new());
    let told = Arc::clone(&moment);
    bucket.proxy.breaks(move |made| {
        (made == call).then(|| {
            told.notify_one();
            S3Fault::Late(Duration::from_secs(600))
        })
    });
    let upload = made(&node, v1::SourceAction::Archive).await;
    let heard = tokio::time::timeout(JOB_MAX, moment.notified()).await;
    heard.expect("the mover comes");
    node.kill9().await;
    bucket.proxy.restore();
    assert!(node.stored(&upload.id) == content().await, "nothing is lost");
    node.restart().await;
    assert_eq!(got(&node, &upload.id).await.source_state(), v1::SourceState::Stored);
    is(&node, &upload.id, v1::SourceState::Archived).await;
    bucket.has_exactly(&upload, &content().await).await;
    within(REMOVED_MAX, "nothing of it is left on the disk", async || {
        node.upload_files(&upload.id).is_empty().then_some(())
    })
    .await;
    plays(&node, &upload.job_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_moved_to_nowhere() {
    let node = Node::start().await;
    let request = v1::CreateUploadRequest {
        preset: "fast".to_owned(),
        source_action: v1::SourceAction::Archive.into(),
        ..Default::default()
    };
    let refused = node.client().create_upload(request).await.expect_err("no archive");
    assert_eq!(refused.reason(), "ARCHIVE_UNAVAILABLE", "{refused}");
    assert!(refused.to_string().contains("--archive-store"), "{refused}");
    let body = "{\"preset\": \"fast\", \"sourceAction\": \"SOURCE_ACTION_ARCHIVE\"}";
    let said = posted(&node.http_url(), "/v1/uploads", body).await;
    assert!(said.contains(" 409 ") && said.contains("ARCHIVE_UNAVAILABLE"), "{said}");
}
