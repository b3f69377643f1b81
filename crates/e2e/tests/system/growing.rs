//! Recordings encoded while they arrive, of known and of unknown length: those that are made of pieces, in each of the containers, and
//! those with their index in front.

use std::{fs, time::Duration};

use bytes::Bytes;
use reelway::v1;

use crate::harness::{Clip, Node, Playback, WriteStream, clip, count_frames, within};

const LIMIT: Duration = Duration::from_secs(120);
/// In so many parts a recording is sent.
const PARTS: usize = 8;
/// So many of them are sent before anything is waited for.
const PARTS_FIRST: usize = 6;

const FRAGMENTED: Clip = Clip {
    name: "fragmented.mp4",
    options: &["-g", "30", "-movflags", "frag_keyframe+empty_moov"],
    ..Clip::short(30)
};
/// The last keyframe before a segment's end is never where the segment ends.
const MATROSKA: Clip = Clip {
    name: "clusters.mkv",
    options: &["-g", "74", "-cluster_time_limit", "1000"],
    ..Clip::short(30)
};
const INDEXED: Clip = Clip {
    name: "indexed.mp4",
    options: &["-g", "30", "-movflags", "faststart"],
    ..Clip::short(30)
};
/// As browsers record it.
const WEBM: Clip = Clip {
    name: "recorded.webm",
    options: &[
        "-c:v",
        "libvpx",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-b:v",
        "1M",
        "-c:a",
        "libopus",
        "-live",
        "1",
    ],
    ..Clip::short(30)
};

#[tokio::test(flavor = "multi_thread")]
async fn fragmented_mp4_is_encoded_while_it_arrives() {
    is_encoded_while_it_arrives(FRAGMENTED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn matroska_is_encoded_while_it_arrives() {
    is_encoded_while_it_arrives(MATROSKA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webm_is_encoded_while_it_arrives() {
    is_encoded_while_it_arrives(WEBM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mp4_with_its_index_in_front_is_encoded_while_it_arrives() {
    is_encoded_while_it_arrives(INDEXED).await;
}

async fn is_encoded_while_it_arrives(what: Clip) {
    let node = Node::start().await;
    let file = clip(what).await;
    let whole = node.upload(&file, "fast").await;
    let whole = node.job_ended(&whole.job_id, LIMIT).await;
    let expected = whole.source.expect("a source");
    let bytes = Bytes::from(fs::read(&file).expect("a recording"));
    for size_bytes in [i64::try_from(bytes.len()).ok(), None] {
        let job = sent_slowly(&node, what, &bytes, size_bytes).await;
        let source = job.source.clone().expect("a source");
        assert_eq!(
            (source.frames, source.duration, job.missing_frames),
            (expected.frames, expected.duration, 0),
            "{job:?}"
        );
        let playback = Playback::fetch(&job.playback_url, &node.dir().join(&job.id)).await;
        assert_eq!(playback.variants.len(), whole.renditions.len());
        for variant in playback.pictures() {
            assert_eq!(count_frames(variant).await, what.frames(), "{}", variant.display());
        }
    }
}

/// Sends a recording part by part, the last ones when the first can be watched and chunks of all rungs are made.
async fn sent_slowly(node: &Node, what: Clip, bytes: &Bytes, size_bytes: Option<i64>) -> v1::Job {
    let request = v1::CreateUploadRequest {
        size_bytes,
        file_name: what.name.to_owned(),
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let upload = node.client().create_upload(request).await.expect("an upload");
    let mut uploads = node.uploads().await;
    let mut stream = WriteStream::open(&mut uploads, &upload.id).await.expect("a stream");
    let mut made = Vec::new();
    for part in 1..=PARTS {
        let end = bytes.len() * part / PARTS;
        stream.send_flushed(bytes.slice(stream.at()..end)).await;
        stream.acked().await.expect("room for it");
        if part == PARTS_FIRST {
            within(LIMIT, "what can be watched of the beginning", async || {
                let job = node.job(&upload.job_id).await;
                (!job.playback_url.is_empty()).then_some(())
            })
            .await;
            made = within(LIMIT, "chunks of the beginning", async || {
                let made = chunks(node, &upload.job_id).await;
                (made.len() > 1).then_some(made)
            })
            .await;
        }
    }
    if size_bytes.is_none() {
        stream.finish().await.expect("a complete upload");
    }
    let job = node.job_ended(&upload.job_id, LIMIT).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    let after = chunks(node, &upload.job_id).await;
    assert!(
        made.iter().all(|chunk| after.contains(chunk)),
        "nothing was made anew: {made:?} {after:?}"
    );
    job
}

/// The chunks of pictures that are made.
async fn chunks(node: &Node, job_id: &str) -> Vec<String> {
    let made = |task: &v1::Task| task.kind() == v1::TaskKind::Video && task.state() == v1::TaskState::Succeeded;
    let tasks = node.tasks(job_id).await;
    tasks.into_iter().filter(made).map(|task| task.id).collect()
}
