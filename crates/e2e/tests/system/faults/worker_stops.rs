//! A worker that is asked to stop: what it can't finish is handed back, and that counts as no attempt.

use std::time::{Duration, Instant};

use super::jobs::{HEAVY, Job, encoder};
use crate::harness::{Role, Shape, System, working_in};

/// How long tasks may go on after the wish to stop: less than the shortest task that runs ffmpeg takes.
const DRAIN: &str = "50ms";
/// The time to drain and the one for the last answers, on a busy machine.
const STOP_MAX: Duration = Duration::from_secs(14);

on_both!(
    fault_21_a_stopped_worker_hands_back,
    Shape {
        worker: 2,
        options: vec!["--drain".to_owned(), DRAIN.to_owned()],
        ..Shape::default()
    }
);

async fn fault_21_a_stopped_worker_hands_back(mut system: System) {
    let job = Job::of(&system, HEAVY, "standard").await;
    let n = encoder(&system).await;
    let worker = system.server_mut(Role::Worker, n);
    let (pid, asked_at) = (worker.pid(), Instant::now());
    let ended = worker.terminate().await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(asked_at.elapsed() < STOP_MAX, "it took {:?}", asked_at.elapsed());
    assert_eq!(working_in(worker.data(), pid), Vec::<String>::new());
    if !system.is_split() {
        system.server_mut(Role::Worker, n).restart().await;
    }
    job.ends_right(&system).await;
    let tasks = system.tasks(&job.id).await;
    assert!(
        tasks.iter().all(|task| task.attempt == 1),
        "what was handed back doesn't count: {tasks:?}"
    );
    assert!(
        tasks.iter().any(|task| task.lease_epoch > 1),
        "nothing was handed back: {tasks:?}"
    );
}
