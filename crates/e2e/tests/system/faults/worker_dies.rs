//! Workers that die, sleep or are asked to stop while a job runs: one right result, nothing left behind, no event lost.

use std::time::Duration;

use reelway::v1;

use crate::harness::{
    Clip, Mark, Playback, Role, Server, Shape, System, children_of, clip, count_frames, within, within_secs, working_in,
};

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

on_both!(
    fault_19_a_job_survives_kills,
    Shape {
        worker: 2,
        ..Shape::default()
    }
);

async fn fault_19_a_job_survives_kills(mut system: System) {
    let upload = system.upload(&clip(LONG).await, "fast").await;
    let mark = Mark::now(&system, &upload.job_id).await;
    for done_min in DONE_AT_KILL {
        let n = encoding(&system, &upload.job_id, done_min).await;
        let worker = system.server_mut(Role::Worker, n);
        let (pid, data) = (worker.pid(), worker.data().to_owned());
        assert!(!working_in(&data, pid).is_empty(), "ffmpeg is found where it works");
        worker.kill9().await;
        within_secs(30, "ffmpeg dies with its worker", async || {
            working_in(&data, pid).is_empty()
        })
        .await;
        worker.restart().await;
    }
    let job = system.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    assert_eq!(job.missing_frames, 0);
    let playback = Playback::fetch(&job.playback_url, &system.dir().join("fetched")).await;
    for variant in playback.pictures() {
        assert_eq!(count_frames(variant).await, LONG.frames(), "{}", variant.display());
    }
    assert_eq!(
        mark.seqs(&system, &upload.job_id).await,
        (mark.seq + 1..=job.event_seq).collect::<Vec<_>>()
    );
    let tasks = system.tasks(&upload.job_id).await;
    assert!(
        tasks.iter().any(|task| task.attempt > 1),
        "no kill interrupted anything: {tasks:?}"
    );
    assert!(
        tasks.iter().all(|task| task.state() == v1::TaskState::Succeeded),
        "{tasks:?}"
    );
}

/// Waits until so many chunks are done and ffmpeg encodes another one. Gives the worker that does it.
async fn encoding(system: &System, job_id: &str, done_min: usize) -> usize {
    within(Duration::from_secs(60), "an encoder", async || {
        let tasks = system.tasks(job_id).await;
        let of_video = |state| {
            let is_it = |task: &&v1::Task| task.kind() == v1::TaskKind::Video && task.state() == state;
            tasks.iter().filter(is_it).count()
        };
        let is_under_way = of_video(v1::TaskState::Succeeded) >= done_min && of_video(v1::TaskState::Running) > 0;
        let mut workers = system.all(Role::Worker);
        let works = |worker: &Server| !children_of(worker.pid(), "ffmpeg").is_empty();
        is_under_way.then(|| workers.position(works))?
    })
    .await
}
