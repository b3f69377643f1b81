//! From one embedded node to separate servers: everything is there, plays, and goes on from where it was.

use std::{path::Path, time::Duration};

use reelway::v1::{self, watch_progress_request::Target};
use reelway_testkit::{Database, Redis};

use crate::harness::{
    Clip, Playback, Process, Role, Setup, Shape, System, WriteStream, clip, count_frames, reelway, within_secs,
};

const DONE: Clip = Clip::short(2);
/// A clip that isn't encoded within the moment that it takes to stop the node.
const LONG: Clip = Clip {
    size: "1280x720",
    rate: 60,
    name: "heavy.mp4",
    ..Clip::short(5)
};
const JOB_MAX: Duration = Duration::from_secs(180);
const COPY_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_node_becomes_separate_servers() {
    // A task that runs when the node is to stop is handed back at once.
    let setup = Setup::default().option("--worker-slots", "1").option("--drain", "0s");
    let mut node = System::one(setup).await;
    let done = node.upload(&clip(DONE).await, "fast").await;
    let before = node.job_ended(&done.job_id, JOB_MAX).await;
    assert_eq!(before.state(), v1::JobState::Succeeded, "{before:?}");
    let (upload_id, bytes) = unfinished(&node).await;
    let running = node.upload(&clip(LONG).await, "standard").await;
    within_secs(60, "a job that runs", async || {
        node.job(&running.job_id).await.state() == v1::JobState::Running
    })
    .await;
    let stopped = node.server_mut(Role::Upload, 0).terminate().await;
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");

    let data = node.server(Role::Upload, 0).data().to_owned();
    let moved = async |database: &Database, store: &Path| moved(&data, database, store).await;
    let system = System::split_after(Shape::default(), Redis::start().await, moved).await;
    let jobs = system
        .client()
        .list_jobs(v1::ListJobsRequest::default())
        .await
        .expect("a list");
    let mut ids: Vec<_> = jobs.jobs.iter().map(|job| job.id.clone()).collect();
    ids.sort();
    let mut expected = [done.job_id.clone(), running.job_id.clone()];
    expected.sort();
    assert_eq!(ids, expected);

    plays(&system, &done.job_id, DONE).await;
    let after = system.job(&done.job_id).await;
    assert_eq!(
        (after.event_seq, after.finish_time),
        (before.event_seq, before.finish_time)
    );
    told(&system, &after).await;
    goes_on(&system, &upload_id, bytes).await;
    let ended = system.job_ended(&running.job_id, JOB_MAX).await;
    assert_eq!(
        (ended.state(), ended.missing_frames),
        (v1::JobState::Succeeded, 0),
        "{ended:?}"
    );
    plays(&system, &running.job_id, LONG).await;
    // Something new, whose numbers follow those that were copied.
    let new = system.upload(&clip(DONE).await, "fast").await;
    let ended = system.job_ended(&new.job_id, JOB_MAX).await;
    assert_eq!(ended.state(), v1::JobState::Succeeded, "{ended:?}");
}

/// Moves what a node has to where separate servers look for it.
async fn moved(data: &Path, database: &Database, store: &Path) {
    let from = format!("sqlite://{}", data.join("catalog.sqlite").display());
    let copy = reelway(["db", "copy", "--from", &from, "--to", &database.url()]);
    let ended = Process::spawn(copy).ended(COPY_MAX).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for (table, rows) in [("uploads", 3), ("jobs", 2)] {
        let said = ended.out.iter().any(|line| line.trim() == format!("{rows} {table}"));
        assert!(said, "{rows} {table}: {ended:#?}");
        assert_eq!(database.number(&format!("SELECT COUNT(*) FROM {table}")), rows);
    }
    std::fs::rename(data.join("store"), store).expect("the same disk");
}

/// An upload of which a part has come. Gives its id and the bytes.
async fn unfinished(node: &System) -> (String, Vec<u8>) {
    let mut uploads = node.uploads().await;
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    };
    let answer = uploads.create_upload(request).await.expect("an upload").into_inner();
    let upload_id = answer.upload.expect("an upload").id;
    let bytes = vec![b'a'; 100_000];
    let mut stream = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    stream.send_flushed(bytes.clone()).await;
    stream.acked().await.expect("an acknowledgement");
    (upload_id, bytes)
}

/// Sends the rest of an upload.
async fn goes_on(system: &System, upload_id: &str, mut bytes: Vec<u8>) {
    let mut uploads = system.uploads().await;
    let mut stream = WriteStream::open(&mut uploads, upload_id).await.expect("a stream");
    assert_eq!(stream.at(), bytes.len(), "what was acknowledged counts");
    stream.send(b"the rest".to_vec()).await;
    stream.finish().await.expect("a complete upload");
    bytes.extend(b"the rest");
    assert!(system.stored(upload_id) == bytes);
}

/// A watcher is told of the job as it stands, and that nothing more will come.
async fn told(system: &System, job: &v1::Job) {
    let request = v1::WatchProgressRequest {
        target: Some(Target::JobId(job.id.clone())),
        ..Default::default()
    };
    let watch = system.progress().await.watch_progress(request).await;
    let mut watch = watch.expect("a stream").into_inner();
    let first = watch.message().await.expect("a message").expect("a snapshot");
    let Some(v1::watch_progress_response::Message::Snapshot(snapshot)) = first.message else {
        panic!("no snapshot: {first:?}")
    };
    assert_eq!(snapshot.entries[0].job.as_ref(), Some(job));
}

/// Every rung has every frame.
async fn plays(system: &System, job_id: &str, clip: Clip) {
    let job = system.job(job_id).await;
    let playback = Playback::fetch(&job.playback_url, &system.dir().join(job_id)).await;
    assert!(playback.pictures().count() > 0);
    for variant in playback.pictures() {
        assert_eq!(count_frames(variant).await, clip.frames(), "{}", variant.display());
    }
}
