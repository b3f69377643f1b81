//! Last attempts that rest on a part of the upload, or on a plan that is not confirmed: they end no job, and nothing goes on for
//! ever either.

use reelway_domain::{
    JobId, JobState, NewTask, Offset, ReadyAt, Reason, RenditionInfo, SourceInfo, TaskKind, TaskRef, TaskState, limits,
};

use super::{db::Db, fixture::*, on_both};
use crate::{Effect, NewUpload, Task, Upload};

on_both!(
    a_source_that_kills_every_worker_ends_after_all_of_it_was_tried,
    attempts_at_a_part_are_not_those_at_the_whole,
    a_failure_waits_for_the_plan_to_be_confirmed,
    what_was_made_by_a_wrong_plan_fails_nothing,
    a_plan_that_can_not_be_confirmed_ends_the_job,
    workers_that_die_wait_for_the_plan_too,
);

const ATTEMPTS: i32 = limits::ATTEMPTS_MAX;

/// An upload that receives and has all bytes but for its completion, with a job that can be claimed for.
async fn early(db: &Db) -> Upload {
    let new = NewUpload {
        job: Some(new_job()),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    db.raw("UPDATE tasks SET ready_at_offset = 0, created_at_ms = created_at_ms - 1000")
        .await
        .unwrap();
    db.opened(&upload).await
}

async fn complete(db: &Db, upload: &Upload) {
    let done = db
        .catalog
        .complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
}

/// Claims, and is never heard of again.
async fn killed(db: &Db) -> Task {
    db.skip_backoff().await;
    let task = db.claim().await.task;
    db.expire_lease(&task).await;
    assert_eq!(db.catalog.reap(MANY).await.unwrap(), 1);
    task
}

async fn a_source_that_kills_every_worker_ends_after_all_of_it_was_tried(db: &Db) {
    let upload = early(db).await;
    let job = upload.job.unwrap();
    for attempt in 1..=ATTEMPTS {
        assert_eq!(killed(db).await.attempt, attempt);
    }
    assert_eq!(db.job(job).await.state, JobState::Running);
    db.skip_backoff().await;
    assert!(db.try_claim().await.is_none(), "a part has been tried often enough");
    complete(db, &upload).await;
    for attempt in 1..=ATTEMPTS {
        assert_eq!(db.job(job).await.error, None);
        assert_eq!(killed(db).await.attempt, attempt);
    }
    let ended = db.job(job).await;
    assert_eq!(ended.state, JobState::Failed);
    assert_eq!(ended.error.map(|error| error.reason), Some(Reason::WorkerLost));
    assert!(db.try_claim().await.is_none());
}

async fn attempts_at_a_part_are_not_those_at_the_whole(db: &Db) {
    let upload = early(db).await;
    for _ in 1..ATTEMPTS {
        killed(db).await;
    }
    complete(db, &upload).await;
    db.skip_backoff().await;
    let last = db.claim().await.task;
    assert_eq!(last.attempt, ATTEMPTS);
    db.catalog.fail_attempt(&last, &transient(), "why").await.unwrap();
    let row = db.task(&last).await;
    assert_eq!(
        (row.state, row.attempt, row.ready_at_offset),
        (TaskState::Queued, 0, None)
    );
    assert_eq!((row.error, row.stderr_tail), (Some(transient()), "why".into()));
    assert_eq!(killed(db).await.attempt, 1);
}

/// A job whose plan was made from an index: one chunk that is claimed, the check, and what comes after both.
async fn unconfirmed(db: &Db) -> (JobId, Task) {
    let upload = early(db).await;
    let (plan, verify) = (TaskRef::only(TaskKind::Plan), TaskRef::only(TaskKind::Verify));
    let (chunk, package) = (TaskRef::only(TaskKind::Video), TaskRef::only(TaskKind::Package));
    let planned = Effect::Planned {
        plan: "early".into(),
        source: SourceInfo::default(),
        renditions: vec![RenditionInfo::default()],
        tasks: vec![
            NewTask {
                ready_at: ReadyAt::Offset(Offset(0)),
                ..NewTask::new(chunk, vec![plan])
            },
            NewTask::new(verify, vec![plan]),
            NewTask::new(package, vec![chunk, verify]),
            NewTask::new(TaskRef::only(TaskKind::Finish), vec![package]),
        ],
    };
    for effect in [Effect::None, planned] {
        db.succeed(&db.claim().await.task, &effect).await;
    }
    complete(db, &upload).await;
    let task = db.claim().await.task;
    assert_eq!(task.kind, TaskKind::Video);
    (task.job, task)
}

/// Fails a chunk for good, and gives the check, which alone can be claimed then.
async fn failed(db: &Db, chunk: &Task) -> Task {
    db.catalog.fail_attempt(chunk, &permanent(), "why").await.unwrap();
    let row = db.task(chunk).await;
    assert_eq!((row.state, row.attempt, row.pending), (TaskState::Queued, 0, 1));
    assert_eq!(row.error, Some(permanent()), "it is told why it waits");
    let verify = db.claim().await.task;
    assert_eq!(verify.kind, TaskKind::Verify);
    db.skip_backoff().await;
    assert!(db.try_claim().await.is_none());
    verify
}

async fn a_failure_waits_for_the_plan_to_be_confirmed(db: &Db) {
    let (job, chunk) = unconfirmed(db).await;
    let verify = failed(db, &chunk).await;
    db.hints().await;
    db.succeed(&verify, &Effect::None).await;
    let woken = db.hints().await;
    assert!(
        woken.contains(&reelway_domain::Hint::Tasks { count: 1 }),
        "it is tried again at once: {woken:?}"
    );
    let again = db.claim().await.task;
    assert_eq!((again.id, again.attempt), (chunk.id, 1), "the attempt didn't count");
    db.catalog.fail_attempt(&again, &permanent(), "").await.unwrap();
    let ended = db.job(job).await;
    assert_eq!(ended.state, JobState::Failed, "now it is the source");
    assert_eq!(ended.error.map(|error| error.reason), Some(permanent().reason));
}

async fn what_was_made_by_a_wrong_plan_fails_nothing(db: &Db) {
    let (job, chunk) = unconfirmed(db).await;
    let verify = failed(db, &chunk).await;
    let package = TaskRef::only(TaskKind::Package);
    let again = Effect::Replanned {
        plan: "anew".into(),
        source: SourceInfo::default(),
        renditions: vec![RenditionInfo::default()],
        tasks: vec![
            NewTask::new(package, vec![TaskRef::only(TaskKind::Verify)]),
            NewTask::new(TaskRef::only(TaskKind::Finish), vec![package]),
        ],
    };
    db.succeed(&verify, &again).await;
    for effect in [published(), Effect::Finished] {
        db.succeed(&db.claim().await.task, &effect).await;
    }
    assert_eq!(db.job(job).await.state, JobState::Succeeded);
}

async fn a_plan_that_can_not_be_confirmed_ends_the_job(db: &Db) {
    let (job, chunk) = unconfirmed(db).await;
    let verify = failed(db, &chunk).await;
    db.catalog.fail_attempt(&verify, &permanent(), "").await.unwrap();
    assert_eq!(db.job(job).await.state, JobState::Failed);
}

async fn workers_that_die_wait_for_the_plan_too(db: &Db) {
    let (job, chunk) = unconfirmed(db).await;
    db.catalog.hand_back(&chunk).await.unwrap();
    // The check is under way on another worker all the time.
    db.raw("UPDATE tasks SET ready_at_offset = NULL WHERE kind = 'video'")
        .await
        .unwrap();
    let claimed = db.claim_many(2).await;
    let (chunk, verify) = (claimed[0].clone(), claimed[1].clone());
    assert_eq!(verify.kind, TaskKind::Verify);
    db.expire_lease(&chunk).await;
    db.catalog.reap(MANY).await.unwrap();
    for _ in 1..ATTEMPTS {
        killed(db).await;
    }
    let row = db.task(&chunk).await;
    assert_eq!((row.attempt, row.pending), (ATTEMPTS - 1, 1));
    db.succeed(&verify, &Effect::None).await;
    assert_eq!(killed(db).await.attempt, ATTEMPTS);
    assert_eq!(db.job(job).await.state, JobState::Failed, "it comes to its end");
}
