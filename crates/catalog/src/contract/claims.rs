//! Who may claim what, and when.

use std::{collections::HashSet, sync::Arc};

use reelway_domain::{Change, JobState, LeaseEpoch, TaskKind, TaskState, WorkerId};
use tokio::{sync::Barrier, task::JoinSet};

use super::{db::Db, fixture::*, on_both};

on_both!(
    a_claim_gives_what_the_worker_needs,
    the_oldest_task_is_claimed_first,
    a_task_waits_for_its_predecessors,
    a_task_waits_for_its_bytes,
    a_task_waits_for_its_time,
    sixteen_workers_claim_each_task_once,
    one_of_several_first_claims_starts_the_job,
);

async fn a_claim_gives_what_the_worker_needs(db: &Db) {
    assert!(db.try_claim().await.is_none());
    let id = db.planned(1).await;
    let owner = WorkerId::new();
    let claim = db.catalog.claim(owner, LONG).await.unwrap().unwrap();
    assert_eq!((claim.task.state, claim.task.attempt), (TaskState::Running, 1));
    assert_eq!(claim.task.lease_epoch, LeaseEpoch(1));
    assert_eq!(claim.task.lease_owner, Some(owner.to_string()));
    assert_eq!(claim.task, db.task(&claim.task).await);
    assert_eq!(claim.job, db.job(id).await);
    assert_eq!((claim.job.state, claim.job.attempts), (JobState::Running, 3));
    assert_eq!(claim.upload.id, claim.job.upload);
    assert_eq!(claim.plan.as_deref(), Some(r#"{"chunks":1}"#));
    let running = Change::TaskState {
        task: claim.task.id,
        task_kind: TaskKind::Video,
        index: 0,
        state: TaskState::Running,
        attempt: 1,
        error: None,
    };
    assert_eq!(db.events(id).await.last().unwrap().change, running);
}

async fn the_oldest_task_is_claimed_first(db: &Db) {
    let (_, first) = db.complete().await;
    let (_, second) = db.complete().await;
    let jobs: Vec<_> = db.claim_many(2).await.into_iter().map(|t| t.job).collect();
    assert_eq!(jobs, [first, second]);
}

async fn a_task_waits_for_its_predecessors(db: &Db) {
    db.planned(2).await;
    let videos = db.claim_many(2).await;
    assert!(videos.iter().all(|t| t.kind == TaskKind::Video));
    assert!(db.try_claim().await.is_none());
    db.succeed(&videos[1], &crate::Effect::None).await;
    assert!(db.try_claim().await.is_none());
    db.succeed(&videos[0], &crate::Effect::None).await;
    assert_eq!(db.claim().await.task.kind, TaskKind::Package);
}

async fn a_task_waits_for_its_bytes(db: &Db) {
    let (upload, _) = db.receiving().await;
    let writer = db.opened(&upload).await;
    db.commit_at(&writer, SIZE_BYTES).await;
    assert!(
        db.try_claim().await.is_none(),
        "without an offset it waits for the whole upload"
    );
    db.raw(&format!("UPDATE tasks SET ready_at_offset = {}", SIZE_BYTES + 1))
        .await
        .unwrap();
    assert!(db.try_claim().await.is_none());
    db.commit_at(&writer, SIZE_BYTES + 1).await;
    let task = db.claim().await.task;
    assert!(task.ready_at_offset.is_some());
    db.catalog.hand_back(&task).await.unwrap();
    db.raw(&format!("UPDATE tasks SET ready_at_offset = {}", SIZE_BYTES + 2))
        .await
        .unwrap();
    assert!(db.try_claim().await.is_none());
    let done = db
        .catalog
        .complete_upload(upload.id, writer.writer_epoch, SIZE_BYTES + 1)
        .await;
    committed(done.unwrap());
    assert_eq!(
        db.claim().await.task.id,
        task.id,
        "a complete upload is enough for everything"
    );
}

async fn a_task_waits_for_its_time(db: &Db) {
    db.complete().await;
    db.raw("UPDATE tasks SET run_at_ms = 9000000000000").await.unwrap();
    assert!(db.try_claim().await.is_none());
    db.skip_backoff().await;
    assert_eq!(db.claim().await.task.kind, TaskKind::Probe);
}

async fn sixteen_workers_claim_each_task_once(db: &Db) {
    const WORKERS: usize = 16;
    const TASKS: i32 = 40;
    let job = db.planned(TASKS).await;
    let barrier = Arc::new(Barrier::new(WORKERS));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (catalog, barrier) = (db.catalog.clone(), Arc::clone(&barrier));
        workers.spawn(async move {
            barrier.wait().await;
            let mut claimed = Vec::new();
            while let Some(claim) = catalog.claim(WorkerId::new(), LONG).await.unwrap() {
                claimed.push((claim.task.id, claim.task.lease_epoch));
            }
            claimed
        });
    }
    let mut claimed: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    // A worker that ended while another one's claim was not committed left nothing behind that a next look doesn't find.
    while let Some(claim) = db.try_claim().await {
        claimed.push((claim.task.id, claim.task.lease_epoch));
    }
    let distinct: HashSet<_> = claimed.iter().map(|(id, _)| *id).collect();
    assert_eq!((claimed.len(), distinct.len()), (40, 40));
    assert!(claimed.iter().all(|(_, epoch)| *epoch == LeaseEpoch(1)));
    assert_eq!(db.job(job).await.attempts, i64::from(TASKS) + 2);
}

async fn one_of_several_first_claims_starts_the_job(db: &Db) {
    const TASKS: usize = 8;
    const ROUNDS: usize = 8;
    let job = db.planned(8).await;
    for _ in 0..ROUNDS {
        db.catalog.cancel_job(&tenant(), job).await.unwrap();
        db.catalog.retry_job(&tenant(), job).await.unwrap();
        let barrier = Arc::new(Barrier::new(TASKS));
        let mut workers = JoinSet::new();
        for _ in 0..TASKS {
            let (catalog, barrier) = (db.catalog.clone(), Arc::clone(&barrier));
            workers.spawn(async move {
                barrier.wait().await;
                catalog.claim(WorkerId::new(), LONG).await.unwrap()
            });
        }
        workers.join_all().await;
    }
    let running = Change::JobState {
        state: JobState::Running,
        error: None,
    };
    let starts = db.events(job).await.into_iter().filter(|e| e.change == running).count();
    assert_eq!(starts, 1 + ROUNDS, "once at first and once after each retry");
}
