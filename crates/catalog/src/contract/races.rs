//! Transactions that need the same rows at the same time: none of them may end in a deadlock.

use std::{future::Future, sync::Arc};

use reelway_domain::{JobState, TaskState, WorkerId};
use tokio::{sync::Barrier, task::JoinSet};

use super::{db::Db, fixture::*, on_both};
use crate::{Catalog, Effect, Error, Fenced, Task};

on_both!(
    tasks_that_fail_together_fail_their_job_once,
    an_upload_ends_while_its_jobs_are_at_work,
    an_upload_completes_while_its_jobs_are_at_work,
    cancelling_meets_results,
);

const ROUNDS: usize = 8;
const CHUNKS: usize = 6;

/// Runs one future per task, and one more, all at the same moment; each gets the catalog.
async fn together<Work, Extra>(
    db: &Db,
    tasks: Vec<Task>,
    work: fn(Catalog, Task) -> Work,
    extra: impl FnOnce(Catalog) -> Extra,
) -> Vec<Fenced>
where
    Work: Future<Output = Result<Fenced, Error>> + Send + 'static,
    Extra: Future<Output = ()> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(tasks.len() + 1));
    let extra = extra(db.catalog.clone());
    let extra = tokio::spawn({
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            extra.await;
        }
    });
    let mut workers = JoinSet::new();
    for task in tasks {
        let (catalog, barrier) = (db.catalog.clone(), Arc::clone(&barrier));
        workers.spawn(async move {
            barrier.wait().await;
            work(catalog, task).await.unwrap()
        });
    }
    let outcomes = workers.join_all().await;
    extra.await.unwrap();
    outcomes
}

async fn succeed(catalog: Catalog, task: Task) -> Result<Fenced, Error> {
    catalog.succeed(&task, "{}", &Effect::None).await
}

async fn fail(catalog: Catalog, task: Task) -> Result<Fenced, Error> {
    catalog.fail_attempt(&task, &permanent(), "").await
}

async fn tasks_that_fail_together_fail_their_job_once(db: &Db) {
    for _ in 0..ROUNDS {
        let job = db.planned(6).await;
        let tasks = db.claim_many(CHUNKS).await;
        let outcomes = together(db, tasks, fail, async |_| {}).await;
        assert_eq!(outcomes.iter().filter(|o| **o == Fenced::Done).count(), 1);
        assert_eq!(db.job(job).await.state, JobState::Failed);
        let tasks = db.catalog.tasks(&tenant(), job).await.unwrap();
        assert_eq!(tasks.iter().filter(|t| t.state == TaskState::Failed).count(), 1);
    }
}

/// Four jobs of one upload that still receives, with all their tasks claimed.
async fn jobs_at_work(db: &Db) -> (crate::Upload, Vec<Task>) {
    let (upload, _) = db.receiving().await;
    for _ in 0..3 {
        db.catalog
            .create_job(&tenant(), upload.id, &new_job(), None)
            .await
            .unwrap();
    }
    db.raw(&format!(
        "UPDATE tasks SET ready_at_offset = 0, pending = 0
         WHERE job_id IN (SELECT id FROM jobs WHERE upload_id = '{}')",
        upload.id
    ))
    .await
    .unwrap();
    (db.opened(&upload).await, db.claim_many(8).await)
}

async fn an_upload_ends_while_its_jobs_are_at_work(db: &Db) {
    for _ in 0..ROUNDS {
        let (upload, tasks) = jobs_at_work(db).await;
        let jobs: Vec<_> = tasks.iter().map(|t| t.job).collect();
        together(db, tasks, hand_back_and_claim, move |catalog| async move {
            catalog.abort_upload(&tenant(), upload.id).await.unwrap();
        })
        .await;
        for job in jobs {
            assert_eq!(db.job(job).await.state, JobState::Cancelled);
        }
    }
}

async fn an_upload_completes_while_its_jobs_are_at_work(db: &Db) {
    for _ in 0..ROUNDS {
        let (upload, tasks) = jobs_at_work(db).await;
        together(db, tasks, hand_back_and_claim, move |catalog| async move {
            let done = catalog.complete_upload(upload.id, upload.writer_epoch, 0).await;
            committed(done.unwrap());
        })
        .await;
        db.raw("UPDATE tasks SET run_at_ms = 9000000000000").await.unwrap();
    }
}

async fn hand_back_and_claim(catalog: Catalog, task: Task) -> Result<Fenced, Error> {
    let outcome = catalog.hand_back(&task).await?;
    catalog.claim(WorkerId::new(), LONG).await?;
    Ok(outcome)
}

async fn cancelling_meets_results(db: &Db) {
    for _ in 0..ROUNDS {
        let job = db.planned(6).await;
        let tasks = db.claim_many(CHUNKS).await;
        together(db, tasks, succeed, move |catalog| async move {
            catalog.cancel_job(&tenant(), job).await.unwrap();
        })
        .await;
        assert_eq!(db.job(job).await.state, JobState::Cancelled);
        let tasks = db.catalog.tasks(&tenant(), job).await.unwrap();
        assert!(
            tasks
                .iter()
                .all(|t| matches!(t.state, TaskState::Succeeded | TaskState::Cancelled))
        );
    }
}
