//! ffmpeg crashes or runs out of memory: the job ends with a reason, and the others go on.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reelway::v1;
use reelway_domain::Reason;
use tokio::time::interval;

use super::jobs::{HEAVY, JOB_MAX, Job, SHORT, encoder};
use crate::harness::{Clip, Node, Role, Shape, System, children_of, within_secs};

/// How often processes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Without sound, of which each attempt would have to hang, too.
const SILENT: Clip = Clip {
    name: "silent.mp4",
    options: &["-an"],
    ..HEAVY
};

on_both!(fault_22_input_that_crashes_ffmpeg, Shape::default());
on_both!(
    fault_23_ffmpeg_hangs,
    Shape {
        worker: 2,
        options: ["--encoder-stall", "2s"].map(str::to_owned).to_vec(),
        ..Shape::default()
    }
);
on_both!(fault_25_ffmpeg_runs_out_of_memory, Shape::default());

/// Each process that reads this input dies, whoever starts it.
async fn fault_22_input_that_crashes_ffmpeg(mut system: System) {
    let poison = Job::of(&system, HEAVY, "fast").await;
    let failed = ends_while_each_gets(&system, &poison.id, Signal::SIGSEGV).await;
    assert_eq!(failed.state(), v1::JobState::Failed, "{failed:?}");
    let error = failed.error.expect("why it failed");
    assert_eq!(error.reason, Reason::EncoderFailed.as_str(), "{error:?}");
    let tasks = system.tasks(&poison.id).await;
    let task = tasks
        .iter()
        .find(|task| task.state() == v1::TaskState::Failed)
        .expect("a task that failed");
    assert_eq!(task.attempt, task.attempt_max, "{task:?}");
    // It is kept to be looked at, the queue goes on, and no worker had to be restarted.
    assert_eq!(system.job(&poison.id).await.state(), v1::JobState::Failed);
    Job::of(&system, SHORT, "fast").await.ends_right(&system).await;
    assert!(system.server_mut(Role::Worker, 0).is_running());
}

/// Stopped, so that it lives and gets no further.
async fn fault_23_ffmpeg_hangs(system: System) {
    let job = Job::of(&system, SILENT, "fast").await;
    encoder(&system).await;
    for ffmpeg in processes(&system) {
        kill(ffmpeg, Signal::SIGSTOP).expect("it runs");
    }
    job.ends_right(&system).await;
    let tasks = system.tasks(&job.id).await;
    assert!(
        tasks.iter().any(|task| task.attempt == 2),
        "what hung was tried again: {tasks:?}"
    );

    let hopeless = Job::of(&system, SILENT, "fast").await;
    let failed = ends_while_each_gets(&system, &hopeless.id, Signal::SIGSTOP).await;
    assert_eq!(failed.state(), v1::JobState::Failed, "{failed:?}");
    let error = failed.error.expect("why it failed");
    assert_eq!(error.reason, Reason::EncoderStalled.as_str(), "{error:?}");
    within_secs(30, "no process that hangs", async || processes(&system).is_empty()).await;
}

/// Killed from outside, as the kernel does when memory runs out.
async fn fault_25_ffmpeg_runs_out_of_memory(system: System) {
    let job = Job::of(&system, HEAVY, "fast").await;
    encoder(&system).await;
    for ffmpeg in processes(&system) {
        kill(ffmpeg, Signal::SIGKILL).expect("it runs");
    }
    job.ends_right(&system).await;
    let tasks = system.tasks(&job.id).await;
    let hit: Vec<_> = tasks.iter().filter(|task| task.attempt > 1).collect();
    assert!(
        !hit.is_empty() && hit.iter().all(|task| task.attempt == 2),
        "once more, with less: {tasks:?}"
    );

    let greedy = Job::of(&system, HEAVY, "fast").await;
    let failed = ends_while_each_gets(&system, &greedy.id, Signal::SIGKILL).await;
    assert_eq!(failed.state(), v1::JobState::Failed, "{failed:?}");
    let error = failed.error.expect("why it failed");
    assert_eq!(error.reason, Reason::SourceLimitExceeded.as_str(), "{error:?}");
    let tasks = system.tasks(&greedy.id).await;
    assert!(
        tasks.iter().all(|task| task.attempt <= 2),
        "at most once more: {tasks:?}"
    );
}

/// The real limit, far below what this clip needs even one rendition at a time.
#[tokio::test(flavor = "multi_thread")]
async fn fault_25_memory_is_limited() {
    let node = Node::with(&["--encoder-memory", "350M"]).await;
    let job = Job::of(&node, HEAVY, "standard").await;
    let failed = node.job_ended(&job.id, JOB_MAX).await;
    let error = failed.error.expect("why it failed");
    assert_eq!(error.reason, Reason::SourceLimitExceeded.as_str(), "{error:?}");
    let tasks = node.tasks(&job.id).await;
    assert!(
        tasks.iter().any(|task| task.attempt == 2),
        "once more, with less: {tasks:?}"
    );
    assert!(
        tasks.iter().all(|task| task.attempt <= 2),
        "at most once more: {tasks:?}"
    );
}

/// Waits for the job's end, while each ffmpeg gets a signal as soon as it is seen.
async fn ends_while_each_gets(system: &System, job_id: &str, signal: Signal) -> v1::Job {
    let all_get_it = async {
        let mut tick = interval(LOOK_EVERY);
        loop {
            tick.tick().await;
            for ffmpeg in processes(system) {
                // It may have ended by itself meanwhile.
                let _ = kill(ffmpeg, signal);
            }
        }
    };
    tokio::select! {
        job = system.job_ended(job_id, JOB_MAX) => job,
        () = all_get_it => unreachable!("it never ends"),
    }
}

fn processes(system: &System) -> Vec<Pid> {
    system
        .all(Role::Worker)
        .flat_map(|worker| children_of(worker.pid(), "ffmpeg"))
        .collect()
}
