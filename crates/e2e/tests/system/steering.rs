//! What people do to running jobs: cancel, retry, stop the node.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reelway::v1;

use crate::harness::{Clip, Mark, Node, Playback, children_of, clip, count_frames, within_secs, working_in};

/// One chunk that takes longer than a node that is asked to stop gives its tasks.
const HEAVY: Clip = Clip {
    size: "1920x1080",
    rate: 60,
    name: "heavy.mp4",
    ..Clip::short(4)
};
/// What is promised of a cancelled job.
const CANCEL_MAX: Duration = Duration::from_secs(5);
const JOB_MAX: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn cancel_kills_ffmpeg_within_5_s() {
    let node = Node::start().await;
    let upload = node.upload(&clip(HEAVY).await, "standard").await;
    encoding(&node).await;
    let cancelled_at = Instant::now();
    let request = v1::CancelJobRequest {
        job_id: upload.job_id.clone(),
    };
    let job = node.client().cancel_job(request).await.expect("a cancelled job");
    assert_eq!(job.state(), v1::JobState::Cancelled);
    within_secs(20, "ffmpeg's end", async || {
        working_in(&node.data(), node.pid()).is_empty()
    })
    .await;
    assert!(
        cancelled_at.elapsed() < CANCEL_MAX,
        "it took {:?}",
        cancelled_at.elapsed()
    );
    let tasks = node.tasks(&upload.job_id).await;
    assert!(
        tasks
            .iter()
            .all(|t| matches!(t.state(), v1::TaskState::Succeeded | v1::TaskState::Cancelled)),
        "{tasks:?}"
    );
    within_secs(5, "an empty scratch space", async || {
        std::fs::read_dir(node.data().join("scratch"))
            .expect("a directory")
            .next()
            .is_none()
    })
    .await;
    assert_eq!(node.job(&upload.job_id).await.state(), v1::JobState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_is_retried_by_hand() {
    let node = Node::start().await;
    let length = Clip::short(40);
    let upload = node.upload(&clip(length).await, "fast").await;
    let mark = Mark::now(&node, &upload.job_id).await;
    encoding(&node).await;
    let client = node.client();
    client
        .cancel_job(v1::CancelJobRequest {
            job_id: upload.job_id.clone(),
        })
        .await
        .expect("a cancelled job");
    let again = client
        .retry_job(v1::RetryJobRequest {
            job_id: upload.job_id.clone(),
        })
        .await
        .expect("a queued job");
    assert_eq!(again.state(), v1::JobState::Queued);
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    let playback = Playback::fetch(&job.playback_url, &node.dir().join("fetched")).await;
    assert_eq!(
        count_frames(playback.pictures().next().expect("a rung")).await,
        length.frames()
    );
    // The old end is no end any more, and what came after it follows without a gap.
    let seqs = mark.seqs(&node, &upload.job_id).await;
    assert_eq!(seqs, (mark.seq + 1..=job.event_seq).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_node_hands_its_tasks_back() {
    let mut node = Node::start().await;
    let upload = node.upload(&clip(HEAVY).await, "standard").await;
    encoding(&node).await;
    let pid = node.pid();
    let asked_at = Instant::now();
    node.signal(Signal::SIGTERM);
    let ended = node.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // 5 s for tasks, 10 s for answers, and this machine is busy.
    assert!(
        asked_at.elapsed() < Duration::from_secs(18),
        "it took {:?}",
        asked_at.elapsed()
    );
    assert_eq!(working_in(&node.data(), pid), Vec::<String>::new());
    node.restart().await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    let tasks = node.tasks(&upload.job_id).await;
    assert!(
        tasks.iter().all(|task| task.attempt == 1),
        "what was handed back doesn't count: {tasks:?}"
    );
    assert!(
        tasks.iter().any(|task| task.lease_epoch > 1),
        "nothing was handed back: {tasks:?}"
    );
}

async fn encoding(node: &Node) {
    within_secs(60, "an encoder", async || !children_of(node.pid(), "ffmpeg").is_empty()).await;
}
