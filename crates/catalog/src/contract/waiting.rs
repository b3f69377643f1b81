//! Tasks that wait for bytes: who wakes workers for them, and what is put off.

use reelway_domain::{
    Hint, NewTask, Offset, ReadyAt, RenditionInfo, SourceInfo, TaskKind, TaskRef, TaskState, UploadId, limits,
};

use super::{db::Db, fixture::*, on_both};
use crate::{Effect, Fenced, NewUpload, TailSet, Task, Upload};

on_both!(
    a_commit_wakes_for_the_tasks_that_it_reaches,
    so_does_one_within_what_is_reserved,
    a_predecessor_that_ends_after_the_bytes_came_wakes,
    what_comes_too_early_is_put_off,
    what_is_put_off_to_the_end_gets_all_attempts,
    what_is_put_off_too_late_wakes_at_once,
    a_retry_waits_for_bytes_again,
    a_tail_is_said_once,
    a_tail_lets_early_tasks_try_again,
    a_tail_that_comes_meanwhile_is_not_missed,
);

/// How many tasks workers were woken for since the last look.
async fn woken(db: &Db) -> u32 {
    let counts = db.hints().await.into_iter().map(|hint| match hint {
        Hint::Tasks { count } => count,
        _ => 0,
    });
    counts.sum()
}

async fn wake_at(db: &Db, upload: &Upload) -> i64 {
    let sql = format!(
        "SELECT COALESCE(wake_at_offset, -1) FROM uploads WHERE id = '{}'",
        upload.id
    );
    db.number(&sql).await
}

/// An upload that receives and can be claimed for at once, of this length if it is known.
async fn early(db: &Db, size: Option<i64>) -> Upload {
    let new = NewUpload {
        size,
        job: Some(new_job()),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    db.raw("UPDATE tasks SET ready_at_offset = 0").await.unwrap();
    db.opened(&upload).await
}

/// A plan whose chunks need these offsets, each chunk after the one before if `in_turn`.
fn chunks(offsets: &[i64], in_turn: bool) -> Effect {
    let video = |index| TaskRef {
        kind: TaskKind::Video,
        index,
    };
    let chunk = |(index, offset): (i32, &i64)| NewTask {
        ready_at: ReadyAt::Offset(Offset(*offset)),
        ..NewTask::new(
            video(index),
            vec![if in_turn && index > 0 {
                video(index - 1)
            } else {
                TaskRef::only(TaskKind::Plan)
            }],
        )
    };
    Effect::Planned {
        plan: "{}".into(),
        source: SourceInfo::default(),
        renditions: vec![RenditionInfo::default()],
        tasks: (0..).zip(offsets).map(chunk).collect(),
    }
}

async fn early_planned(db: &Db, size: Option<i64>, plan: &Effect) -> Upload {
    let upload = early(db, size).await;
    for effect in [&Effect::None, plan] {
        db.succeed(&db.claim().await.task, effect).await;
    }
    db.hints().await;
    upload
}

async fn a_commit_wakes_for_the_tasks_that_it_reaches(db: &Db) {
    wakes_at_offsets(db, None).await;
}

async fn so_does_one_within_what_is_reserved(db: &Db) {
    wakes_at_offsets(db, Some(SIZE_BYTES)).await;
}

async fn wakes_at_offsets(db: &Db, size: Option<i64>) {
    let upload = early_planned(db, size, &chunks(&[10, 20, 20, 30], false)).await;
    assert_eq!(wake_at(db, &upload).await, 10);
    for (offset, count, next) in [
        (5, 0, 10),
        (10, 1, 20),
        (15, 0, 20),
        (25, 2, 30),
        (30, 1, -1),
        (40, 0, -1),
    ] {
        committed(db.commit_at(&upload, offset).await);
        assert_eq!((woken(db).await, wake_at(db, &upload).await), (count, next), "{offset}");
    }
    assert_eq!(db.claim_many(4).await.len(), 4);
}

async fn a_predecessor_that_ends_after_the_bytes_came_wakes(db: &Db) {
    let upload = early_planned(db, None, &chunks(&[0, 10], true)).await;
    let first = db.claim().await.task;
    committed(db.commit_at(&upload, 10).await);
    assert_eq!((woken(db).await, wake_at(db, &upload).await), (0, -1));
    db.succeed(&first, &Effect::None).await;
    assert_eq!(woken(db).await, 1);
    assert_eq!(db.claim().await.task.index, 1);
}

async fn postponed(db: &Db, task: &Task, ready: ReadyAt) -> Fenced {
    db.catalog.postpone(task, ready, true).await.unwrap()
}

async fn what_comes_too_early_is_put_off(db: &Db) {
    let upload = early(db, None).await;
    let probe = db.claim().await.task;
    db.hints().await;
    assert_eq!(postponed(db, &probe, ReadyAt::Offset(Offset(50))).await, Fenced::Done);
    assert_eq!(
        postponed(db, &probe, ReadyAt::Offset(Offset(50))).await,
        Fenced::LeaseLost
    );
    let row = db.task(&probe).await;
    assert_eq!(
        (row.state, row.attempt, row.lease_epoch),
        (TaskState::Queued, 0, probe.lease_epoch)
    );
    assert!(db.try_claim().await.is_none());
    assert_eq!((woken(db).await, wake_at(db, &upload).await), (0, 50));
    committed(db.commit_at(&upload, 60).await);
    assert_eq!(woken(db).await, 1);
    let again = db.claim().await.task;
    assert_eq!((again.id, again.attempt), (probe.id, 1));
    assert_eq!(again.lease_epoch.0, probe.lease_epoch.0 + 1);
    let events = db.events(probe.job).await;
    assert!(matches!(
        events[events.len() - 2].change,
        reelway_domain::Change::TaskState {
            state: TaskState::Queued,
            ..
        }
    ));
}

async fn what_is_put_off_to_the_end_gets_all_attempts(db: &Db) {
    let upload = early(db, None).await;
    for _ in 1..limits::ATTEMPTS_MAX {
        let task = db.claim().await.task;
        db.catalog.fail_attempt(&task, &transient(), "").await.unwrap();
        db.skip_backoff().await;
    }
    let last = db.claim().await.task;
    assert_eq!(last.attempt, last.attempt_max);
    postponed(db, &last, ReadyAt::Complete).await;
    committed(db.commit_at(&upload, SIZE_BYTES).await);
    assert!(db.try_claim().await.is_none());
    db.hints().await;
    let done = db
        .catalog
        .complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
    assert_eq!(woken(db).await, 1);
    assert_eq!(db.claim().await.task.attempt, 1);
}

async fn what_is_put_off_too_late_wakes_at_once(db: &Db) {
    let upload = early(db, None).await;
    let probe = db.claim().await.task;
    let done = db
        .catalog
        .complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
    db.hints().await;
    postponed(db, &probe, ReadyAt::Complete).await;
    assert_eq!(woken(db).await, 1, "the upload was completed meanwhile");
    assert_eq!(db.claim().await.task.id, probe.id);
}

async fn a_retry_waits_for_bytes_again(db: &Db) {
    let upload = early_planned(db, None, &chunks(&[10], false)).await;
    let job = upload.job.unwrap();
    db.catalog.cancel_job(&tenant(), job).await.unwrap();
    committed(db.commit_at(&upload, 5).await);
    db.raw("UPDATE uploads SET wake_at_offset = NULL").await.unwrap();
    db.catalog.retry_job(&tenant(), job).await.unwrap();
    assert_eq!(wake_at(db, &upload).await, 10);
}

async fn set(db: &Db, upload: UploadId, tail: i64) -> TailSet {
    db.catalog.set_tail(&tenant(), upload, Offset(tail)).await.unwrap()
}

async fn a_tail_is_said_once(db: &Db) {
    let upload = early(db, Some(SIZE_BYTES)).await;
    assert!(matches!(set(db, upload.id, SIZE_BYTES + 1).await, TailSet::Refused(_)));
    for _ in 0..2 {
        let TailSet::Set(row) = set(db, upload.id, 900).await else {
            panic!("refused")
        };
        assert_eq!(row.tail_offset, Some(Offset(900)));
    }
    let TailSet::Refused(row) = set(db, upload.id, 901).await else {
        panic!("another tail")
    };
    assert_eq!(row.tail_offset, Some(Offset(900)));
    assert_eq!(set(db, UploadId::new(), 1).await, TailSet::Unknown);
    assert!(db.catalog.drop_tail(&tenant(), upload.id).await.unwrap());
    assert!(!db.catalog.drop_tail(&tenant(), upload.id).await.unwrap());
    assert_eq!(db.upload(upload.id).await.tail_offset, None);
    let done = db
        .catalog
        .complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
    assert!(
        matches!(set(db, upload.id, 900).await, TailSet::Refused(_)),
        "it has its end"
    );
    let unsized_upload = early(db, None).await;
    assert!(matches!(set(db, unsized_upload.id, 0).await, TailSet::Refused(_)));
}

async fn a_tail_lets_early_tasks_try_again(db: &Db) {
    let upload = early(db, Some(SIZE_BYTES)).await;
    let probe = db.claim().await.task;
    postponed(db, &probe, ReadyAt::Complete).await;
    assert!(db.try_claim().await.is_none());
    db.hints().await;
    set(db, upload.id, 900).await;
    assert_eq!(woken(db).await, 1);
    assert_eq!(db.claim().await.task.id, probe.id);
}

async fn a_tail_that_comes_meanwhile_is_not_missed(db: &Db) {
    let upload = early(db, Some(SIZE_BYTES)).await;
    let probe = db.claim().await.task;
    set(db, upload.id, 900).await;
    db.hints().await;
    db.catalog.postpone(&probe, ReadyAt::Complete, false).await.unwrap();
    assert_eq!(woken(db).await, 1, "the claim didn't know the tail");
    let again = db.claim().await;
    assert_eq!(again.upload.tail_offset, Some(Offset(900)));
    db.catalog.postpone(&again.task, ReadyAt::Complete, true).await.unwrap();
    assert!(db.try_claim().await.is_none());
}
