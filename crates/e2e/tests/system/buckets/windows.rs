//! Workers that read a source from a bucket: what they need of it, once each.

use std::{fs, time::Duration};

use nix::unistd::Pid;
use reelway::v1;

use super::Bucket;
use crate::harness::{Clip, Playback, Role, Server, Shape, System, children_of, clip, count_frames, within};

/// Many bytes, of which little is to be made. Its index stands at the end, so that nothing is read before all of it is there.
const LONG: Clip = Clip {
    size: "640x360",
    rate: 10,
    options: &["-vf", "noise=alls=40:allf=t", "-qp", "34", "-g", "20"],
    ..Clip::short(60)
};
/// More than every task of the clip takes on a busy machine, with the rest of a lease that nobody gives back.
const JOB_MAX: Duration = Duration::from_secs(240);
/// The clip has so many blocks at least, and so many tasks read it.
const BLOCKS_MIN: u64 = 4;
const READERS_MIN: usize = 8;
const BLOCK_BYTES: u64 = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_of_which_one_is_killed_fetch_little_more_than_the_source() {
    let bucket = Bucket::new().await;
    let setup = bucket.setup();
    let mut system = System::split(Shape {
        worker: 2,
        options: setup.options,
        env: setup.env,
        ..Shape::default()
    })
    .await;
    let file = clip(LONG).await;
    let size = fs::metadata(&file).expect("the clip").len();
    assert!(size > BLOCKS_MIN * BLOCK_BYTES, "{size}");
    let upload = system.upload(&file, "fast").await;
    let n = encoding(&system, &upload.job_id).await;
    let worker = system.server_mut(Role::Worker, n);
    worker.kill9().await;
    worker.restart().await;
    let job = system.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    assert_eq!(job.missing_frames, 0);
    let tasks = system.tasks(&upload.job_id).await;
    let is_reader = |task: &&v1::Task| {
        let kinds = [v1::TaskKind::Lead, v1::TaskKind::Video, v1::TaskKind::Audio];
        kinds.contains(&task.kind())
    };
    assert!(tasks.iter().filter(is_reader).count() >= READERS_MIN, "{tasks:?}");
    // Two workers, and one that begins with nothing.
    let read = bucket.proxy.take_read_bytes(&upload.id);
    assert!((size..=3 * (size + BLOCK_BYTES)).contains(&read), "{read} of {size}");
    let playback = Playback::fetch(&job.playback_url, &system.dir().join("fetched")).await;
    for variant in playback.pictures() {
        assert_eq!(count_frames(variant).await, LONG.frames(), "{}", variant.display());
    }
}

/// Waits until something is made and ffmpeg makes more, which has nothing of the server's environment. Gives the worker that does it.
async fn encoding(system: &System, job_id: &str) -> usize {
    within(Duration::from_secs(60), "an encoder", async || {
        let tasks = system.tasks(job_id).await;
        let is_made = |task: &v1::Task| task.kind() == v1::TaskKind::Video && task.state() == v1::TaskState::Succeeded;
        if !tasks.iter().any(is_made) {
            return None;
        }
        let works = |worker: &Server| {
            let encoders = children_of(worker.pid(), "ffmpeg");
            let seen = encoders.first().and_then(|encoder| environment(*encoder));
            let own = environment(worker.pid()).expect("it runs");
            assert!(own.contains("AWS_SECRET_ACCESS_KEY="), "the server has a key");
            assert_eq!(seen.clone().unwrap_or_default(), "", "ffmpeg has nothing");
            seen.is_some()
        };
        system.all(Role::Worker).position(works)
    })
    .await
}

/// What stands in the environment of a process; `None` if it has ended.
fn environment(id: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let command = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    (!command.is_empty()).then(|| String::from_utf8_lossy(&environment).into_owned())
}
