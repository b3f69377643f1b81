//! Sources in one store, and what jobs make in another.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use reelway::v1;
use reelway_blob::{Held, Owner};
use serde_json::Value;

use super::{Bucket, REMOVED_MAX};
use crate::harness::{Cli, Clip, Node, Playback, Setup, Shape, System, clip, within};

/// A short clip is done long before.
const JOB_MAX: Duration = Duration::from_secs(120);

impl Bucket {
    /// This one for what jobs make, beside whatever `setup` says of sources.
    fn for_outputs(&self, setup: Setup) -> Setup {
        setup
            .option("--output-store", &self.url)
            .option("--output-store-endpoint", self.proxy.url())
    }

    /// How many objects there are of uploads, and of jobs.
    async fn counted(&self) -> (usize, usize) {
        let all: Vec<Held> = self.store().await.held().try_collect().await.expect("a listing");
        let of = |is: fn(&Owner) -> bool| all.iter().filter(|held| is(&held.owner)).count();
        (
            of(|owner| matches!(owner, Owner::Upload(_))),
            of(|owner| matches!(owner, Owner::Job(_))),
        )
    }
}

/// Makes a video on it, plays all of it, and gives the upload.
async fn made(node: &System) -> v1::Upload {
    let upload = node.upload(&clip(Clip::short(5)).await, "fast").await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    let dir = tempfile::tempdir().expect("a directory");
    let playback = Playback::fetch(&job.playback_url, dir.path()).await;
    assert!(playback.variants.len() >= 2, "{:?}", playback.variants);
    upload
}

async fn delete_job(node: &System, job: &str) {
    let request = v1::DeleteJobRequest { job_id: job.to_owned() };
    node.client().delete_job(request).await.expect("it is deleted");
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_on_a_disk_and_outputs_in_a_bucket() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.for_outputs(Setup::default())).await;
    let upload = made(&node).await;
    let content = fs::read(clip(Clip::short(5)).await).expect("the clip");
    assert!(node.stored(&upload.id) == content, "the source is on the disk");
    assert!(!node.outputs(&upload.job_id).exists(), "and nothing else");
    let (uploads, outputs) = bucket.counted().await;
    assert!(uploads == 0 && outputs > 0, "{uploads}, {outputs}");
    delete_job(&node, &upload.job_id).await;
    within(REMOVED_MAX, "what the job made is gone", async || {
        (bucket.counted().await == (0, 0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_in_a_bucket_and_outputs_on_a_disk() {
    let (bucket, dir) = (Bucket::new().await, tempfile::tempdir().expect("a directory"));
    let url = format!("file://{}", dir.path().display());
    let node = Node::set_up(bucket.setup().option("--output-store", &url)).await;
    let upload = made(&node).await;
    let content = Bytes::from(fs::read(clip(Clip::short(5)).await).expect("the clip"));
    bucket.has_exactly(&upload, &content).await;
    assert_eq!(bucket.counted().await, (1, 0));
    let outputs = dir.path().join("outputs");
    assert!(outputs.join(&upload.job_id).is_dir());
    delete_job(&node, &upload.job_id).await;
    within(REMOVED_MAX, "what the job made is gone", async || {
        is_empty(&outputs).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_for_each_role() {
    let bucket = Bucket::new().await;
    let shape = Shape {
        options: bucket.for_outputs(Setup::default()).options,
        ..Shape::default()
    };
    let system = System::split(shape).await;
    let upload = made(&system).await;
    let content = fs::read(clip(Clip::short(5)).await).expect("the clip");
    assert!(system.stored(&upload.id) == content, "the source is on the shared disk");
    assert!(!system.outputs(&upload.job_id).exists(), "and nothing else");
    let (uploads, outputs) = bucket.counted().await;
    assert!(uploads == 0 && outputs > 0, "{uploads}, {outputs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buckets_which_are_not_exchanged_later() {
    let (sources, outputs) = (Bucket::new().await, Bucket::new().await);
    let mut node = Node::set_up(outputs.for_outputs(sources.setup())).await;
    let upload = made(&node).await;
    let content = Bytes::from(fs::read(clip(Clip::short(5)).await).expect("the clip"));
    sources.has_exactly(&upload, &content).await;
    assert_eq!(sources.counted().await, (1, 0));
    let (uploads, made) = outputs.counted().await;
    assert!(uploads == 0 && made > 0, "{uploads}, {made}");

    // Something in each of them that nobody knows.
    for bucket in [&sources, &outputs] {
        let lost = bucket.store().await.output(reelway_domain::JobId::new());
        let key = "video/0.m4s".parse().expect("a key");
        lost.write(&key, Bytes::from_static(b"lost"))
            .await
            .expect("it is written");
    }
    let data = node.data();
    let mut args = vec!["store", "leftovers", "--json", "--older-than", "0s", "--data"];
    args.push(data.to_str().expect("a plain path"));
    let (url, endpoint) = (sources.url.clone(), sources.proxy.url());
    let own = ["--store", &url, "--store-endpoint", &endpoint];
    let (url, endpoint) = (outputs.url.clone(), outputs.proxy.url());
    let other = ["--output-store", &url, "--output-store-endpoint", &endpoint];
    let user = Cli::of(&node);
    let found = user.json([&args[..], &own, &other].concat()).await;
    // A running server tries its stores: what it leaves for a moment is not meant.
    let is_lost = |line: &&Value| line["key"].as_str().is_some_and(|key| key.ends_with("video/0.m4s"));
    let stores: Vec<_> = found.iter().filter(is_lost).map(|line| line["store"].clone()).collect();
    assert_eq!(stores, [sources.url.as_str(), outputs.url.as_str()], "{found:?}");

    let doctor = ["doctor", "--json", "--data", args[6]];
    let findings = user.run([&doctor[..], &own, &other].concat()).await.json();
    for check in ["store", "output-store"] {
        let finding = findings.iter().find(|finding| finding["check"] == check);
        assert_eq!(finding.expect(check)["verdict"], "ok", "{finding:?}");
    }

    node.terminate().await;
    // As if there had been one store all the time.
    let serve = [
        "serve",
        "--data",
        args[6],
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let refused = user.run([&serve[..], &own].concat()).await;
    let said = refused.err.join("\n");
    assert!(
        refused.code != Some(0) && said.contains("--output-store"),
        "{refused:?}"
    );
}
