//! A node that dies while a job runs: one right result, nothing left behind, no event lost.

use std::time::Duration;

use reelway::v1;

use crate::harness::{Clip, Mark, Node, Playback, children_of, clip, count_frames, within_secs, working_in};

/// Long enough that a kill comes in the middle, with sound.
const LONG: Clip = Clip {
    size: "640x480",
    rate: 25,
    ..Clip::short(60)
};
/// So many chunks are done at each kill, at least. A task may be started four times, and every kill may hit the same one.
const DONE_AT_KILL: [usize; 3] = [0, 2, 4];
/// Each kill costs the rest of a lease before the work goes on.
const JOB_MAX: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_kills() {
    let mut node = Node::start().await;
    let upload = node.upload(&clip(LONG).await, "fast").await;
    let mark = Mark::now(&node, &upload.job_id).await;
    for done_min in DONE_AT_KILL {
        encoding(&node, &upload.job_id, done_min).await;
        let pid = node.pid();
        assert!(
            !working_in(&node.data(), pid).is_empty(),
            "ffmpeg is found where it works"
        );
        node.kill9().await;
        within_secs(5, "ffmpeg dies with the node", async || {
            working_in(&node.data(), pid).is_empty()
        })
        .await;
        node.restart().await;
    }
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    assert_eq!(job.missing_frames, 0);
    let playback = Playback::fetch(&job.playback_url, &node.dir().join("fetched")).await;
    for variant in playback.pictures() {
        assert_eq!(count_frames(variant).await, LONG.frames(), "{}", variant.display());
    }
    assert_eq!(
        mark.seqs(&node, &upload.job_id).await,
        (mark.seq + 1..=job.event_seq).collect::<Vec<_>>()
    );
    let tasks = node.tasks(&upload.job_id).await;
    assert!(
        tasks.iter().any(|task| task.attempt > 1),
        "no kill interrupted anything: {tasks:?}"
    );
    assert!(
        tasks.iter().all(|task| task.state() == v1::TaskState::Succeeded),
        "{tasks:?}"
    );
}

/// Waits until so many chunks are done and ffmpeg encodes another one.
async fn encoding(node: &Node, job_id: &str, done_min: usize) {
    within_secs(60, "an encoder", async || {
        let tasks = node.tasks(job_id).await;
        let of_video = |state| {
            tasks
                .iter()
                .filter(|t| t.kind() == v1::TaskKind::Video && t.state() == state)
                .count()
        };
        of_video(v1::TaskState::Succeeded) >= done_min
            && of_video(v1::TaskState::Running) > 0
            && !children_of(node.pid(), "ffmpeg").is_empty()
    })
    .await;
}
