//! A worker that is paused for longer than its lease: what it does when it wakes counts for nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use reelway_domain::limits::LEASE_TTL;
use tokio::time::sleep;

use super::jobs::{HEAVY, Job, encoder};
use crate::harness::{Role, Shape, System, within_secs};

on_both!(
    fault_20_a_sleeper_is_fenced_out,
    Shape {
        worker: 2,
        ..Shape::default()
    }
);

async fn fault_20_a_sleeper_is_fenced_out(system: System) {
    let job = Job::of(&system, HEAVY, "fast").await;
    let sleeper = system.server(Role::Worker, encoder(&system).await);
    sleeper.signal(Signal::SIGSTOP);
    let made = if system.is_split() {
        // The other worker waits for the lease to run out and does it all again.
        job.ends_right(&system).await;
        Some(files(&system.outputs(&job.id)))
    } else {
        // Not to wait for something: this is how long the fault lasts.
        sleep(LEASE_TTL + Duration::from_secs(1)).await;
        None
    };
    sleeper.signal(Signal::SIGCONT);
    within_secs(60, "the sleeper to see that it is too late", async || {
        let lost = sleeper
            .metric_where("reelway_job_attempts_total", "outcome=\"lease_lost\"")
            .await;
        lost.is_some_and(|count| count >= 1.0)
    })
    .await;
    let ended = job.ends_right(&system).await;
    let tasks = system.tasks(&job.id).await;
    assert!(
        tasks.iter().any(|task| task.attempt > 1),
        "nothing was done again: {tasks:?}"
    );
    if let Some(made) = made {
        within_secs(30, "what the sleeper made to be gone", async || {
            files(&system.outputs(&job.id)) == made
        })
        .await;
    }
    job.plays(&ended, &system.dir().join("fetched")).await;
}

/// All files below a directory, with their lengths.
fn files(dir: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => found.extend(files(&entry.path())),
            Ok(meta) => drop(found.insert(entry.path(), meta.len())),
            // Removed in this moment.
            Err(_) => {}
        }
    }
    found
}
