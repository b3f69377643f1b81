//! How many empty tasks a second go through claim and success. Not a test, and only run by hand.

use std::{sync::Arc, time::Instant};

use reelway_domain::{NewTask, SourceInfo, TaskKind, TaskRef, WorkerId};
use tokio::{
    sync::{Barrier, mpsc},
    task::JoinSet,
};

use super::{db::Db, fixture::*, on_both};
use crate::{Catalog, Claim, Effect, Success};

/// Tasks of the backlog.
const TASKS: i32 = 4000;
/// Tasks in one transaction.
const BATCH: usize = 50;
/// Workers that claim and finish one at a time.
const WORKERS: usize = 16;

on_both!(
    #[ignore = "a measurement: scripts/test --quick -p reelway-catalog --lib -- --ignored --nocapture throughput"]
    of_batches,
    #[ignore = "a measurement: scripts/test --quick -p reelway-catalog --lib -- --ignored --nocapture throughput"]
    of_single_tasks,
);

/// Makes tasks that wait for nothing but a worker, and that nothing waits for.
async fn backlog(db: &Db) {
    db.complete().await;
    let plan = TaskRef::only(TaskKind::Plan);
    let video = |index| {
        NewTask::new(
            TaskRef {
                kind: TaskKind::Video,
                index,
            },
            vec![plan],
        )
    };
    let planned = Effect::Planned {
        plan: String::new(),
        source: SourceInfo::default(),
        renditions: Vec::new(),
        tasks: (0..TASKS).map(video).collect(),
    };
    for effect in [Effect::None, planned] {
        let task = db.claim().await.task;
        db.succeed(&task, &effect).await;
    }
}

fn report(what: &str, db: &Db, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    eprintln!(
        "{what} on {:?}: {:.0} tasks a second",
        db.catalog.dialect(),
        f64::from(TASKS) / seconds
    );
}

/// One worker whose claims and successes are under way beside each other.
async fn of_batches(db: &Db) {
    backlog(db).await;
    let (done, mut finished) = mpsc::channel::<Vec<Success>>(1);
    let catalog = db.catalog.clone();
    let began = Instant::now();
    let finisher = tokio::spawn(async move {
        while let Some(successes) = finished.recv().await {
            catalog.succeed_batch(&successes).await.unwrap();
        }
    });
    loop {
        let claims = db
            .catalog
            .claim_batch(WorkerId::new(), LONG, BATCH, None)
            .await
            .unwrap();
        if claims.is_empty() {
            break;
        }
        done.send(claims.into_iter().map(success).collect()).await.unwrap();
    }
    drop(done);
    finisher.await.unwrap();
    report("batches", db, began);
    assert_eq!(db.count("tasks WHERE state <> 'succeeded'").await, 0);
}

fn success(claim: Claim) -> Success {
    Success {
        task: claim.task,
        result: "{}".into(),
    }
}

async fn of_single_tasks(db: &Db) {
    backlog(db).await;
    let barrier = Arc::new(Barrier::new(WORKERS));
    let mut workers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..WORKERS {
        workers.spawn(work(db.catalog.clone(), Arc::clone(&barrier)));
    }
    workers.join_all().await;
    report("single tasks", db, began);
}

async fn work(catalog: Catalog, barrier: Arc<Barrier>) {
    barrier.wait().await;
    while let Some(claim) = catalog.claim(WorkerId::new(), LONG).await.unwrap() {
        catalog.succeed(&claim.task, "{}", &Effect::None).await.unwrap();
    }
}
