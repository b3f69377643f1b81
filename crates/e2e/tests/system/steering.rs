//! What people do to jobs that have ended.

use std::time::Duration;

use reelway::v1;

use crate::harness::{Clip, Mark, Node, Playback, children_of, clip, count_frames, within_secs};

const JOB_MAX: Duration = Duration::from_secs(240);

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

/// What was shown of it can still be played, and players don't wait for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_ends_what_grew() {
    let node = Node::start().await;
    let length = Clip {
        size: "640x480",
        ..Clip::short(60)
    };
    let upload = node.upload(&clip(length).await, "fast").await;
    let job_id = upload.job_id;
    within_secs(60, "something to play", async || {
        !node.job(&job_id).await.playback_url.is_empty()
    })
    .await;
    let cancelled = node.client().cancel_job(v1::CancelJobRequest { job_id }).await;
    let cancelled = cancelled.expect("a cancelled job");
    assert_eq!(cancelled.state(), v1::JobState::Cancelled);
    let playback = Playback::fetch(&cancelled.playback_url, &node.dir().join("fetched")).await;
    assert!(!playback.variants.is_empty());
    for variant in &playback.variants {
        let text = std::fs::read_to_string(variant).expect("a playlist");
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"), "{text}");
        assert!(text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    }
    let frames = count_frames(playback.pictures().next().expect("a rung")).await;
    assert!((1..length.frames()).contains(&frames), "{frames}");
}

async fn encoding(node: &Node) {
    within_secs(60, "an encoder", async || !children_of(node.pid(), "ffmpeg").is_empty()).await;
}
