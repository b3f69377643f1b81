//! Uploads that come to nothing, and what becomes of their jobs.

use std::time::Duration;

use reelway_domain::{Change, JobState, Reason, TaskState, UploadState, WriterId};

use super::{db::Db, fixture::*, on_both};
use crate::{Beat, Commit, Error, NewUpload, Opened, Retried, UploadEnd};

on_both!(
    a_failed_upload_fails_its_jobs,
    an_aborted_upload_cancels_its_jobs,
    a_complete_upload_is_given_up_only_if_that_is_said,
    an_upload_expires_when_nothing_comes,
    what_came_to_nothing_is_freed_once,
    an_upload_that_came_to_nothing_takes_no_job,
);

async fn a_failed_upload_fails_its_jobs(db: &Db) {
    let (upload, first) = db.receiving().await;
    let second = new_job();
    db.catalog
        .create_job(&tenant(), upload.id, &second, None)
        .await
        .unwrap();
    let writer = db.opened(&upload).await;
    let failed = db
        .catalog
        .fail_upload(upload.id, writer.writer_epoch, &permanent())
        .await
        .unwrap();
    let failed = committed(failed);
    assert_eq!((failed.state, failed.error), (UploadState::Failed, Some(permanent())));
    for id in [first, second.id] {
        let job = db.job(id).await;
        assert_eq!((job.state, job.error), (JobState::Failed, Some(permanent())));
        let changes: Vec<Change> = db.events(id).await.into_iter().map(|e| e.change).collect();
        let upload_failed = Change::UploadState {
            state: UploadState::Failed,
            error: Some(permanent()),
        };
        let job_failed = Change::JobState {
            state: JobState::Failed,
            error: Some(permanent()),
        };
        assert_eq!(changes[1..], [upload_failed, job_failed]);
        let tasks = db.catalog.tasks(&tenant(), id).await.unwrap();
        assert!(tasks.iter().all(|t| t.state == TaskState::Cancelled));
    }
    assert!(db.try_claim().await.is_none());
}

pub(super) async fn an_aborted_upload_cancels_its_jobs(db: &Db) {
    let (upload, job) = db.receiving().await;
    db.raw("UPDATE tasks SET ready_at_offset = 0").await.unwrap();
    let writer = db.opened(&upload).await;
    let claim = db.claim().await;
    let UploadEnd::Ended(aborted) = db.catalog.abort_upload(&tenant(), upload.id).await.unwrap() else {
        panic!("it was receiving");
    };
    assert_eq!(aborted.state, UploadState::Aborted);
    assert_eq!(db.job(job).await.state, JobState::Cancelled);
    assert_eq!(db.catalog.heartbeat(&claim.task, LONG).await.unwrap(), Beat::Cancelled);
    assert_eq!(db.commit_at(&writer, 1).await, Commit::Superseded);
    assert_eq!(
        db.catalog
            .open_writer(&tenant(), upload.id, WriterId::ONLY)
            .await
            .unwrap(),
        Opened::Ended(aborted.clone())
    );
    let again = db.catalog.abort_upload(&tenant(), upload.id).await.unwrap();
    assert_eq!(again, UploadEnd::Before(aborted));
    let unknown = db.catalog.abort_upload(&tenant(), new_upload().id).await.unwrap();
    assert_eq!(unknown, UploadEnd::Unknown);
}

async fn a_complete_upload_is_given_up_only_if_that_is_said(db: &Db) {
    let (upload, job) = db.complete().await;
    let before = db.catalog.abort_upload(&tenant(), upload.id).await.unwrap();
    assert_eq!(before, UploadEnd::Before(upload.clone()));
    let UploadEnd::Ended(gone) = db
        .catalog
        .abort_upload_also_complete(&tenant(), upload.id)
        .await
        .unwrap()
    else {
        panic!("it was complete");
    };
    assert_eq!((gone.state, gone.completed_at), (UploadState::Aborted, None));
    assert_eq!(db.job(job).await.state, JobState::Cancelled);
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), [upload.id]);
    assert_eq!(db.catalog.quota(&tenant()).await.unwrap().unwrap().bytes_stored, 0);
    let again = db
        .catalog
        .abort_upload_also_complete(&tenant(), upload.id)
        .await
        .unwrap();
    assert_eq!(again, UploadEnd::Before(gone));
}

async fn an_upload_expires_when_nothing_comes(db: &Db) {
    let (kept, kept_job) = db.receiving().await;
    let (complete, _) = db.complete().await;
    let job = new_job();
    let new = NewUpload {
        job: Some(job.clone()),
        ..new_upload()
    };
    let stale = db.catalog.create_upload(&new).await.unwrap().into_inner();
    db.raw(&format!(
        "UPDATE uploads SET expires_at_ms = 0 WHERE id IN ('{}', '{}')",
        stale.id, complete.id
    ))
    .await
    .unwrap();
    assert_eq!(db.catalog.expire_uploads(MANY).await.unwrap(), 1);
    assert_eq!(db.catalog.expire_uploads(MANY).await.unwrap(), 0);
    assert_eq!(db.upload(stale.id).await.state, UploadState::Expired);
    assert_eq!(db.upload(kept.id).await.state, UploadState::Receiving);
    assert_eq!(db.upload(complete.id).await.state, UploadState::Complete);
    let failed = db.job(job.id).await;
    assert_eq!(failed.error.map(|e| e.reason), Some(Reason::UploadExpired));
    assert_eq!(db.job(kept_job).await.state, JobState::Queued);
}

async fn what_came_to_nothing_is_freed_once(db: &Db) {
    let (upload, _) = db.receiving().await;
    db.catalog.upload_freed(upload.id).await.unwrap();
    db.catalog.abort_upload(&tenant(), upload.id).await.unwrap();
    assert_eq!(
        db.catalog.uploads_to_free(MANY).await.unwrap(),
        [upload.id],
        "a living upload is not freed"
    );
    db.catalog.upload_freed(upload.id).await.unwrap();
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), []);
}

async fn an_upload_that_came_to_nothing_takes_no_job(db: &Db) {
    let new = NewUpload {
        expiry: Duration::ZERO,
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let job = new_job();
    let created = db.catalog.create_job(&tenant(), upload.id, &job, None).await.unwrap();
    assert!(created.is_some());
    db.catalog.abort_upload(&tenant(), upload.id).await.unwrap();
    let retried = db.catalog.retry_job(&tenant(), job.id).await.unwrap();
    assert!(matches!(retried, Retried::Refused(job) if job.state == JobState::Cancelled));
    let refused = db.catalog.create_job(&tenant(), upload.id, &new_job(), None).await;
    let ended = |e: &Error| {
        matches!(
            e,
            Error::UploadEnded {
                state: UploadState::Aborted,
                ..
            }
        )
    };
    assert!(refused.as_ref().is_err_and(ended), "{refused:?}");
    let unknown = db
        .catalog
        .create_job(&tenant(), new_upload().id, &new_job(), None)
        .await
        .unwrap();
    assert_eq!(unknown, None);
}
