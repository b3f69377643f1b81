//! Workers that die while the bytes of their source arrive: what they saw of it is not the last word on anything.

use std::{fs, time::Duration};

use bytes::Bytes;
use rand::Rng as _;
use reelway::v1::{self, job_event::Change};
use tokio::time::sleep;

use super::{
    jobs::{Job, encoder},
    seed,
};
use crate::harness::{Clip, Role, Shape, System, WriteStream, clip};

/// Its index is in front, so it is planned from that; what is at work at a kill is never all of it.
const FILM: Clip = Clip {
    size: "640x480",
    rate: 25,
    name: "faststart.mp4",
    options: &["-movflags", "+faststart"],
    ..Clip::short(60)
};
/// As often as a task may be started: what is killed each time uses up all attempts at a part.
const KILLS: usize = 4;
/// How long a worker is left at it, in milliseconds at most.
const LIFE_MS_MAX: u64 = 300;
/// How much is sent in one message.
const PIECE_BYTES: usize = 1 << 20;

on_both!(
    fault_39_workers_die_while_the_bytes_arrive,
    Shape {
        worker: 2,
        ..Shape::default()
    }
);

async fn fault_39_workers_die_while_the_bytes_arrive(mut system: System) {
    let (mut random, _) = seed::random();
    let bytes = Bytes::from(fs::read(clip(FILM).await).expect("a film"));
    let request = v1::CreateUploadRequest {
        size_bytes: Some(i64::try_from(bytes.len()).expect("a length")),
        file_name: FILM.name.to_owned(),
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let upload = system.client().create_upload(request).await.expect("an upload");
    let job = Job::of_upload(&system, &upload, FILM).await;
    for kill in 1..=KILLS {
        // Each further part brings work for whoever is left.
        let part = bytes.len() * kill / (KILLS + 1);
        let stream = sent(&system, &upload.id, bytes.slice(..part)).await;
        let n = encoder(&system).await;
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        drop(stream);
        let worker = system.server_mut(Role::Worker, n);
        worker.kill9().await;
        worker.restart().await;
    }
    // Its length is known, so the last byte completes it.
    sent(&system, &upload.id, bytes).await;
    let ended = job.ends_right(&system).await;
    job.plays(&ended, &system.dir().join("fetched")).await;
    let tasks = system.tasks(&job.id).await;
    assert!(
        tasks.iter().any(|task| task.kind() == v1::TaskKind::Verify),
        "it was planned while it arrived: {tasks:?}"
    );
    let lost = job.events(&system).await.into_iter().filter(is_loss).count();
    assert!(lost > 0, "no kill interrupted anything");
}

/// Goes on with an upload until it has all of these bytes.
async fn sent(system: &System, upload_id: &str, bytes: Bytes) -> WriteStream {
    let mut uploads = system.uploads().await;
    let mut stream = WriteStream::open(&mut uploads, upload_id).await.expect("a stream");
    while stream.at() < bytes.len() {
        let end = bytes.len().min(stream.at() + PIECE_BYTES);
        stream.send_flushed(bytes.slice(stream.at()..end)).await;
        stream.acked().await.expect("room for it");
    }
    stream
}

/// Whether this tells that a worker was not heard of again.
fn is_loss(event: &v1::JobEvent) -> bool {
    let Some(Change::TaskState(change)) = &event.change else {
        return false;
    };
    change.error.as_ref().is_some_and(|error| error.reason == "WORKER_LOST")
}
