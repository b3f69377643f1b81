//! What jobs share: the time and the memory of workers, with the real catalog, store and ffmpeg.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use reelway_catalog::Job;
use reelway_domain::{Change, EventSeq, JobId, JobState, TaskId, TaskKind, TaskState, Tenant, preset};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings, Worker,
    testing::{Bench, LOOK_EVERY},
};

/// Longer than any of these clips takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);
/// More events than any job here has.
const MANY: i64 = 10_000;

fn clip(bench: &Bench, size: &str, seconds: &str) -> Vec<u8> {
    let picture = format!("testsrc2=size={size}:rate=10");
    let options = ["-pix_fmt", "yuv420p", "-preset", "ultrafast"];
    bench.clip(&[&["-f", "lavfi", "-i", &picture, "-t", seconds][..], &options].concat())
}

/// A worker of this bench with so many slots, and so much memory for its tasks, in MiB.
fn worker(bench: &Bench, slots: usize, memory_mib: Option<i64>) -> Arc<Worker> {
    let of_bench = &bench.worker;
    let settings = Settings {
        slots,
        memory_mib,
        ..of_bench.settings.clone()
    };
    let (catalog, store) = (bench.catalog.clone(), bench.store.clone());
    Worker::new(catalog, store, of_bench.bus.clone(), of_bench.tools.clone(), settings)
}

/// Lets the worker work until the job is as it should be.
async fn until(bench: &Bench, tenant: &Tenant, job: JobId, is_so: impl AsyncFn(&Job) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let job = bench.catalog.job(tenant, job).await.unwrap().unwrap();
        if is_so(&job).await {
            return;
        }
        assert!(!job.state.is_terminal() && Instant::now() < deadline, "{job:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How many chunks of a job nobody has begun, and how many there are.
async fn waiting(bench: &Bench, tenant: &Tenant, job: JobId) -> (usize, usize) {
    let tasks = bench.catalog.tasks(tenant, job).await.unwrap();
    let chunks = tasks.iter().filter(|task| task.kind == TaskKind::Video);
    let queued = chunks.clone().filter(|task| task.state == TaskState::Queued);
    (queued.count(), chunks.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_playable_while_a_film_of_another_tenant_is_in_work() {
    let bench = Bench::new().await;
    let (long, short) = (clip(&bench, "640x360", "150"), clip(&bench, "320x240", "4"));
    let (first, second) = (Tenant::single(), Tenant::stored("other".into()));
    let ladder = preset("fast").unwrap();
    let film = bench.job_of(&first, long, ladder.clone()).await;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(worker(&bench, 1, None).run(shutdown.clone()));
    until(&bench, &first, film, async |_| {
        let (queued, all) = waiting(&bench, &first, film).await;
        queued < all
    })
    .await;
    let small = bench.job_of(&second, short, ladder).await;
    let (before, _) = waiting(&bench, &first, film).await;
    until(&bench, &second, small, async |job| job.playable_at.is_some()).await;
    let (after, all) = waiting(&bench, &first, film).await;
    assert!(before > all / 2, "{before} of {all} were still to come");
    assert!(
        after + 3 >= before,
        "the clip went before all of {before} chunks but {after}"
    );
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// The most tasks that were under way together and take memory, as the events of a job tell it.
async fn heavy_together(bench: &Bench, job: JobId) -> usize {
    let tenant = Tenant::single();
    let tasks = bench.catalog.tasks(&tenant, job).await.unwrap();
    let memory: HashMap<TaskId, i64> = tasks.iter().map(|task| (task.id, task.memory_mib)).collect();
    let events = bench.catalog.events_of_job(&tenant, job, EventSeq(0), MANY).await;
    let (mut running, mut most) = (HashSet::new(), 0);
    for event in events.unwrap() {
        let Change::TaskState { task, state, .. } = event.change else {
            continue;
        };
        if memory[&task] > 0 && state == TaskState::Running {
            running.insert(task);
        } else {
            running.remove(&task);
        }
        most = most.max(running.len());
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_tasks_do_not_run_together_where_memory_is_little() {
    let bench = Bench::new().await;
    let film = clip(&bench, "320x240", "20");
    for (memory_mib, expected) in [(Some(1), 1..=1), (None, 2..=3)] {
        let job = bench.job_with(film.clone(), preset("fast").unwrap()).await;
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(worker(&bench, 3, memory_mib).run(shutdown.clone()));
        until(&bench, &Tenant::single(), job, async |job| {
            job.state == JobState::Succeeded
        })
        .await;
        shutdown.cancel();
        running.await.unwrap().unwrap();
        let most = heavy_together(&bench, job).await;
        assert!(expected.contains(&most), "{most} together with {memory_mib:?} MiB");
    }
}
