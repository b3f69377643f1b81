//! Jobs as their owners see them.

use reelway_domain::{Change, JobState, TaskKind, TaskState, Timestamp};

use super::{db::Db, fixture::*, on_both};
use crate::{Beat, Cancelled, Deleted, Job, JobFilter, Retried};

on_both!(
    a_job_begins_with_its_first_tasks,
    jobs_are_listed_by_filter_in_pages,
    cancelling_takes_all_leases,
    a_retry_keeps_what_succeeded,
    only_an_ended_job_is_deleted,
);

async fn a_job_begins_with_its_first_tasks(db: &Db) {
    let (_, id) = db.receiving().await;
    let tasks = db.catalog.tasks(&tenant(), id).await.unwrap();
    let kinds: Vec<_> = tasks.iter().map(|t| (t.kind, t.state, t.pending)).collect();
    assert_eq!(
        kinds,
        [
            (TaskKind::Probe, TaskState::Queued, 0),
            (TaskKind::Plan, TaskState::Queued, 1)
        ]
    );
    let queued = Change::JobState {
        state: JobState::Queued,
        error: None,
    };
    assert_eq!(
        db.events(id).await.into_iter().map(|e| e.change).collect::<Vec<_>>(),
        [queued]
    );
    assert!(db.catalog.knows_job(id).await.unwrap());
    assert!(!db.catalog.knows_job(new_job().id).await.unwrap());
}

async fn jobs_are_listed_by_filter_in_pages(db: &Db) {
    let (upload, first) = db.receiving().await;
    let second = new_job().id;
    let new = crate::NewJob {
        id: second,
        ..new_job()
    };
    db.catalog.create_job(&tenant(), upload.id, &new, None).await.unwrap();
    let (_, third) = db.receiving().await;
    db.catalog.cancel_job(&tenant(), second).await.unwrap();
    db.raw(&format!("UPDATE jobs SET created_at_ms = 5 WHERE id = '{first}'"))
        .await
        .unwrap();
    let list = async |filter: JobFilter, before, count_max| -> Vec<_> {
        let found = db
            .catalog
            .list_jobs(&tenant(), &filter, before, count_max)
            .await
            .unwrap();
        found.into_iter().map(|job: Job| job.id).collect()
    };
    let all = JobFilter::default();
    assert_eq!(list(all.clone(), None, MANY).await, [third, second, first]);
    assert_eq!(list(all.clone(), None, 2).await, [third, second]);
    assert_eq!(list(all.clone(), Some(second), 2).await, [first]);
    let of_upload = JobFilter {
        upload: Some(upload.id),
        ..all.clone()
    };
    assert_eq!(list(of_upload, None, MANY).await, [second, first]);
    let cancelled = JobFilter {
        state: Some(JobState::Cancelled),
        ..all.clone()
    };
    assert_eq!(list(cancelled, None, MANY).await, [second]);
    let living = JobFilter {
        living_only: true,
        ..all.clone()
    };
    assert_eq!(list(living, None, MANY).await, [third, first]);
    let old = JobFilter {
        created_max: Some(Timestamp(6)),
        ..all.clone()
    };
    assert_eq!(list(old, None, MANY).await, [first]);
    let new = JobFilter {
        created_min: Some(Timestamp(6)),
        ..all
    };
    assert_eq!(list(new, None, MANY).await, [third, second]);
}

pub(super) async fn cancelling_takes_all_leases(db: &Db) {
    let id = db.planned(3).await;
    let tasks = db.claim_many(2).await;
    let Cancelled::Job(job) = db.catalog.cancel_job(&tenant(), id).await.unwrap() else {
        panic!("there is such a job");
    };
    assert_eq!(job.state, JobState::Cancelled);
    assert!(job.finished_at.is_some());
    for task in &tasks {
        assert_eq!(db.catalog.heartbeat(task, LONG).await.unwrap(), Beat::Cancelled);
        assert_eq!(
            db.catalog.succeed(task, "{}", &crate::Effect::None).await.unwrap(),
            crate::Fenced::LeaseLost
        );
    }
    assert!(db.try_claim().await.is_none());
    let events = db.events(id).await.len();
    assert_eq!(db.catalog.cancel_job(&tenant(), id).await.unwrap(), Cancelled::Job(job));
    assert_eq!(db.events(id).await.len(), events, "nothing happened the second time");
}

pub(super) async fn a_retry_keeps_what_succeeded(db: &Db) {
    let id = db.planned(2).await;
    let tasks = db.claim_many(2).await;
    assert!(matches!(
        db.catalog.retry_job(&tenant(), id).await.unwrap(),
        Retried::Refused(_)
    ));
    db.succeed(&tasks[0], &crate::Effect::None).await;
    db.catalog.fail_attempt(&tasks[1], &permanent(), "").await.unwrap();
    assert_eq!(db.job(id).await.state, JobState::Failed);
    let Retried::Queued(job) = db.catalog.retry_job(&tenant(), id).await.unwrap() else {
        panic!("it can be retried");
    };
    assert_eq!((job.state, job.error, job.finished_at), (JobState::Queued, None, None));
    assert_eq!(db.task(&tasks[0]).await.state, TaskState::Succeeded);
    let again = db.claim().await.task;
    assert_eq!((again.id, again.attempt), (tasks[1].id, 1));
    assert!(again.lease_epoch > tasks[1].lease_epoch, "the epoch is never reset");
    db.succeed(&again, &crate::Effect::None).await;
    for kind in [TaskKind::Package, TaskKind::Finish] {
        let task = db.claim().await.task;
        assert_eq!(task.kind, kind);
        db.succeed(&task, &effect_of(kind, 0)).await;
    }
    assert_eq!(db.job(id).await.state, JobState::Succeeded);
    assert!(matches!(
        db.catalog.retry_job(&tenant(), id).await.unwrap(),
        Retried::Refused(_)
    ));
}

async fn only_an_ended_job_is_deleted(db: &Db) {
    let (upload, id) = db.complete().await;
    assert!(matches!(
        db.catalog.delete_job(&tenant(), id).await.unwrap(),
        Deleted::Refused(_)
    ));
    assert_eq!(db.upload(upload.id).await.job, Some(id));
    db.catalog.cancel_job(&tenant(), id).await.unwrap();
    assert_eq!(db.catalog.delete_job(&tenant(), id).await.unwrap(), Deleted::Gone);
    assert_eq!(db.catalog.delete_job(&tenant(), id).await.unwrap(), Deleted::Unknown);
    assert_eq!(db.catalog.job(&tenant(), id).await.unwrap(), None);
    assert_eq!(db.upload(upload.id).await.job, None);
    for table in ["tasks", "task_edges", "job_events"] {
        assert_eq!(db.count(table).await, 0, "{table}");
    }
}
