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
use crate::harness::{Role, Shape, System, children_of};

/// How often processes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

on_both!(fault_22_input_that_crashes_ffmpeg, Shape::default());
on_both!(fault_25_ffmpeg_runs_out_of_memory, Shape::default());

/// Each process that reads this input dies, whoever starts it.
async fn fault_22_input_that_crashes_ffmpeg(system: System) {
    let before = system.server(Role::Worker, 0).pid();
    let poison = Job::of(&system, HEAVY, "fast").await;
    let failed = ends_while_each_dies(&system, &poison.id, Signal::SIGSEGV).await;
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
    assert_eq!(system.server(Role::Worker, 0).pid(), before);
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
    let failed = ends_while_each_dies(&system, &greedy.id, Signal::SIGKILL).await;
    assert_eq!(failed.state(), v1::JobState::Failed, "{failed:?}");
    let error = failed.error.expect("why it failed");
    assert_eq!(error.reason, Reason::SourceLimitExceeded.as_str(), "{error:?}");
    let tasks = system.tasks(&greedy.id).await;
    assert!(
        tasks.iter().all(|task| task.attempt <= 2),
        "at most once more: {tasks:?}"
    );
}

/// Waits for the job's end, while each ffmpeg gets a signal as soon as it is seen.
async fn ends_while_each_dies(system: &System, job_id: &str, signal: Signal) -> v1::Job {
    let all_die = async {
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
        () = all_die => unreachable!("it never ends"),
    }
}

fn processes(system: &System) -> Vec<Pid> {
    system
        .all(Role::Worker)
        .flat_map(|worker| children_of(worker.pid(), "ffmpeg"))
        .collect()
}
