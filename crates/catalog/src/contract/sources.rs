//! What becomes of sources after success: kept, removed, or moved, and never under a job that needs them.

use std::time::Duration;

use reelway_domain::{FileEpoch, Hint, JobId, JobState, SourceAction, SourceState, TaskKind, UploadId, UploadState};

use super::{db::Db, fixture::*, on_both};
use crate::{Created, Error, Keeper, Kept, Moving, NewJob, NewUpload, Retried, SourceLeft, Upload, UploadEnd};

on_both!(
    a_source_stays_unless_its_job_says_otherwise,
    a_source_is_removed_after_success,
    a_removed_source_counts_in_no_quota,
    jobs_that_fail_or_are_cancelled_keep_their_source,
    a_living_job_holds_a_source_back,
    a_new_job_and_the_removal_of_its_source_exclude_each_other,
    a_source_is_moved_by_one_at_a_time,
    a_mover_that_was_superseded_changes_nothing,
    a_new_job_holds_a_move_back,
    moving_comes_before_removing,
    an_archived_source_can_be_removed_by_a_later_job,
    an_archived_source_that_is_given_up_is_freed_everywhere,
    an_upload_that_is_given_up_is_freed_when_its_mover_has_stopped,
);

fn job_that(source_action: SourceAction) -> NewJob {
    NewJob {
        source_action,
        ..new_job()
    }
}

impl Db {
    /// A complete upload with a job that wants this.
    async fn wishing(&self, action: SourceAction) -> (UploadId, JobId) {
        let job = job_that(action);
        let id = job.id;
        let new = NewUpload {
            job: Some(job),
            ..new_upload()
        };
        let upload = self.catalog.create_upload(&new).await.unwrap().into_inner();
        let upload = self.opened(&upload).await;
        let done = self.catalog.complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES);
        (committed(done.await.unwrap()).id, id)
    }

    /// Does all tasks of the only job that lives.
    async fn finish(&self, job: JobId) {
        for kind in [
            TaskKind::Probe,
            TaskKind::Plan,
            TaskKind::Video,
            TaskKind::Package,
            TaskKind::Finish,
        ] {
            let task = self.claim().await.task;
            assert_eq!((task.job, task.kind), (job, kind));
            self.succeed(&task, &effect_of(kind, 1)).await;
        }
        assert_eq!(self.job(job).await.state, JobState::Succeeded);
    }

    /// An upload of which a job has succeeded that wants this.
    async fn succeeded(&self, action: SourceAction) -> UploadId {
        let (upload, job) = self.wishing(action).await;
        self.finish(job).await;
        upload
    }

    async fn another_job(&self, upload: UploadId, action: SourceAction) -> Result<JobId, Error> {
        let job = job_that(action);
        let created = self.catalog.create_job(&tenant(), upload, &job, None).await?;
        Ok(created.map(Created::into_inner).expect("an upload").id)
    }

    async fn wished(&self, action: SourceAction) -> Vec<UploadId> {
        self.catalog.sources_wished(action, MANY).await.unwrap()
    }

    async fn claim_source(&self, upload: UploadId) -> Option<Moving> {
        self.catalog.claim_source(upload, LONG).await.unwrap()
    }

    async fn archived(&self) -> UploadId {
        let upload = self.succeeded(SourceAction::Archive).await;
        let moving = self.claim_source(upload).await.unwrap();
        assert!(self.catalog.source_moved(&moving, Some("there")).await.unwrap());
        upload
    }

    async fn left(&self) -> Vec<SourceLeft> {
        self.catalog.sources_left(MANY).await.unwrap()
    }

    async fn kept(&self, upload: UploadId) -> [Kept; 2] {
        let of = async |keeper| self.catalog.kept(upload, keeper).await.unwrap();
        [of(Keeper::Uploads).await, of(Keeper::Archive).await]
    }

    async fn keeps_files(&self, upload: &Upload) -> [bool; 2] {
        let of = async |keeper| {
            let kept = self.catalog.keeps_upload_file(upload.id, upload.file_epoch, keeper);
            kept.await.unwrap()
        };
        [of(Keeper::Uploads).await, of(Keeper::Archive).await]
    }
}

async fn a_source_stays_unless_its_job_says_otherwise(db: &Db) {
    let upload = db.succeeded(SourceAction::Keep).await;
    for action in [SourceAction::Delete, SourceAction::Archive] {
        assert_eq!(db.wished(action).await, []);
    }
    assert!(!db.catalog.remove_source(upload).await.unwrap());
    assert_eq!(db.claim_source(upload).await, None);
    assert_eq!(db.upload(upload).await.source_state, SourceState::Stored);
}

async fn a_source_is_removed_after_success(db: &Db) {
    let (upload, job) = db.wishing(SourceAction::Delete).await;
    assert_eq!(db.job(job).await.source_action, SourceAction::Delete);
    assert_eq!(db.wished(SourceAction::Delete).await, [], "the job lives");
    assert!(!db.catalog.remove_source(upload).await.unwrap());
    db.finish(job).await;
    assert_eq!(db.wished(SourceAction::Delete).await, [upload]);
    db.hints().await;
    assert!(db.catalog.remove_source(upload).await.unwrap());
    assert!(!db.catalog.remove_source(upload).await.unwrap(), "once");
    assert!(db.hints().await.contains(&Hint::Upload { upload }));
    let row = db.upload(upload).await;
    assert_eq!(
        (row.state, row.source_state),
        (UploadState::Complete, SourceState::Removed)
    );
    let left = SourceLeft {
        id: upload,
        state: SourceState::Removed,
    };
    assert_eq!(db.left().await, [left]);
    assert_eq!(db.kept(upload).await, [Kept::Everything, Kept::Everything]);
    db.catalog.source_left_gone(&left).await.unwrap();
    assert_eq!(db.left().await, []);
    assert_eq!(db.kept(upload).await, [Kept::Nothing, Kept::Nothing]);
    assert_eq!(db.keeps_files(&row).await, [false, false]);

    let refused = db.another_job(upload, SourceAction::Keep).await;
    assert!(
        matches!(refused, Err(Error::SourceRemoved(id)) if id == upload),
        "{refused:?}"
    );
    assert_eq!(db.job(job).await.state, JobState::Succeeded, "what was made stays");
}

async fn a_removed_source_counts_in_no_quota(db: &Db) {
    let stored = async || db.number("SELECT bytes_stored FROM tenants").await;
    let upload = db.succeeded(SourceAction::Delete).await;
    assert_eq!(stored().await, SIZE_BYTES);
    db.catalog.remove_source(upload).await.unwrap();
    assert_eq!(stored().await, 0);
    let given_up = db.catalog.abort_upload_also_complete(&tenant(), upload).await;
    assert!(matches!(given_up, Ok(UploadEnd::Ended(_))), "{given_up:?}");
    assert_eq!(stored().await, 0, "given back once");
}

async fn jobs_that_fail_or_are_cancelled_keep_their_source(db: &Db) {
    let (failed, job) = db.wishing(SourceAction::Delete).await;
    let task = db.claim().await.task;
    db.catalog.fail_attempt(&task, &permanent(), "").await.unwrap();
    assert_eq!(db.job(job).await.state, JobState::Failed);
    let (cancelled, other) = db.wishing(SourceAction::Archive).await;
    db.catalog.cancel_job(&tenant(), other).await.unwrap();
    assert_eq!(db.wished(SourceAction::Delete).await, []);
    assert_eq!(db.wished(SourceAction::Archive).await, []);
    assert!(!db.catalog.remove_source(failed).await.unwrap());
    assert_eq!(db.claim_source(cancelled).await, None);
}

async fn a_living_job_holds_a_source_back(db: &Db) {
    let upload = db.succeeded(SourceAction::Delete).await;
    let other = db.another_job(upload, SourceAction::Keep).await.unwrap();
    assert_eq!(db.wished(SourceAction::Delete).await, []);
    assert!(!db.catalog.remove_source(upload).await.unwrap());
    db.catalog.cancel_job(&tenant(), other).await.unwrap();
    assert_eq!(
        db.wished(SourceAction::Delete).await,
        [upload],
        "nobody needs it any more"
    );
    let retried = db.catalog.retry_job(&tenant(), other).await.unwrap();
    assert!(matches!(retried, Retried::Queued(_)), "{retried:?}");
    assert!(
        !db.catalog.remove_source(upload).await.unwrap(),
        "a retry needs it again"
    );
    db.catalog.cancel_job(&tenant(), other).await.unwrap();
    assert!(db.catalog.remove_source(upload).await.unwrap());
    let retried = db.catalog.retry_job(&tenant(), other).await.unwrap();
    assert!(matches!(retried, Retried::Refused(_)), "{retried:?}");
}

async fn a_new_job_and_the_removal_of_its_source_exclude_each_other(db: &Db) {
    for _ in 0..8 {
        let upload = db.succeeded(SourceAction::Delete).await;
        let (removed, created) = tokio::join!(
            db.catalog.remove_source(upload),
            db.another_job(upload, SourceAction::Keep)
        );
        let (is_removed, state) = (removed.unwrap(), db.upload(upload).await.source_state);
        match created {
            Ok(job) => {
                assert_eq!((is_removed, state), (false, SourceState::Stored));
                db.catalog.cancel_job(&tenant(), job).await.unwrap();
            }
            Err(Error::SourceRemoved(_)) => assert_eq!((is_removed, state), (true, SourceState::Removed)),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_source_is_moved_by_one_at_a_time(db: &Db) {
    let upload = db.succeeded(SourceAction::Archive).await;
    let before = db.upload(upload).await;
    assert_eq!(db.kept(upload).await, [Kept::Everything, Kept::Nothing]);
    let moving = db.claim_source(upload).await.expect("a source to be moved");
    assert_eq!(db.claim_source(upload).await, None);
    assert_eq!(db.wished(SourceAction::Archive).await, [], "somebody is at it");
    assert_eq!(moving.upload.file_epoch, before.file_epoch, "where it comes from");
    assert_ne!(moving.file(), FileEpoch::FIRST);
    assert_eq!(db.kept(upload).await, [Kept::Everything, Kept::Everything]);
    assert!(db.catalog.keep_source(&moving, LONG).await.unwrap());
    assert!(db.catalog.source_moved(&moving, Some("there")).await.unwrap());

    let row = db.upload(upload).await;
    assert_eq!(
        (row.state, row.source_state),
        (UploadState::Complete, SourceState::Archived)
    );
    assert_eq!(
        (row.file_epoch, row.source_key.as_deref()),
        (moving.file(), Some("there"))
    );
    assert_eq!(db.kept(upload).await, [Kept::Everything, Kept::Source("there".into())]);
    assert_eq!(db.keeps_files(&row).await, [true, true]);
    let left = SourceLeft {
        id: upload,
        state: SourceState::Archived,
    };
    assert_eq!(db.left().await, [left]);
    db.catalog.source_left_gone(&left).await.unwrap();
    assert_eq!(db.kept(upload).await, [Kept::Nothing, Kept::Source("there".into())]);
    assert_eq!(db.keeps_files(&row).await, [false, true]);
    assert_eq!(db.claim_source(upload).await, None, "it is there");
    assert_eq!(db.number("SELECT bytes_stored FROM tenants").await, SIZE_BYTES);

    let again = db.another_job(upload, SourceAction::Archive).await.unwrap();
    db.finish(again).await;
    assert_eq!(db.wished(SourceAction::Archive).await, [], "nothing is to be done");
}

async fn a_mover_that_was_superseded_changes_nothing(db: &Db) {
    let upload = db.succeeded(SourceAction::Archive).await;
    let slow = db.catalog.claim_source(upload, Duration::ZERO).await.unwrap().unwrap();
    // The clock of the database counts milliseconds: the lease has run out with the next one.
    let quick = loop {
        if let Some(quick) = db.claim_source(upload).await {
            break quick;
        }
    };
    assert_ne!(slow.file(), quick.file());
    assert!(!db.catalog.keep_source(&slow, LONG).await.unwrap());
    db.catalog.let_go_source(&slow).await.unwrap();
    assert_eq!(
        db.claim_source(upload).await,
        None,
        "it wasn't the slow one's to let go"
    );
    assert!(!db.catalog.source_moved(&slow, Some("slow")).await.unwrap());
    assert_eq!(db.upload(upload).await.source_state, SourceState::Stored);
    assert!(db.catalog.source_moved(&quick, Some("quick")).await.unwrap());
    assert!(!db.catalog.source_moved(&slow, Some("slow")).await.unwrap());
    assert_eq!(db.upload(upload).await.source_key.as_deref(), Some("quick"));
}

async fn a_new_job_holds_a_move_back(db: &Db) {
    let upload = db.succeeded(SourceAction::Archive).await;
    let moving = db.claim_source(upload).await.unwrap();
    let job = db.another_job(upload, SourceAction::Keep).await.unwrap();
    assert!(!db.catalog.source_moved(&moving, Some("there")).await.unwrap());
    db.catalog.let_go_source(&moving).await.unwrap();
    assert_eq!(db.claim_source(upload).await, None);
    db.finish(job).await;
    let moving = db.claim_source(upload).await.expect("the wish has stayed");
    assert!(db.catalog.source_moved(&moving, None).await.unwrap());
    // A job on it works: it can be claimed, and sees where its source is.
    db.another_job(upload, SourceAction::Keep).await.unwrap();
    let claim = db.claim().await;
    assert_eq!(claim.upload.source_state, SourceState::Archived);
    assert_eq!(
        (claim.upload.file_epoch, claim.upload.source_key),
        (moving.file(), None)
    );
}

async fn moving_comes_before_removing(db: &Db) {
    for [first, second] in [
        [SourceAction::Archive, SourceAction::Delete],
        [SourceAction::Delete, SourceAction::Archive],
    ] {
        let upload = db.succeeded(first).await;
        let job = db.another_job(upload, second).await.unwrap();
        db.finish(job).await;
        assert_eq!(db.wished(SourceAction::Archive).await, [upload]);
        assert!(!db.catalog.remove_source(upload).await.unwrap());
        let moving = db.claim_source(upload).await.unwrap();
        assert!(db.catalog.source_moved(&moving, None).await.unwrap());
    }
    assert_eq!(db.wished(SourceAction::Delete).await, []);
}

async fn an_archived_source_can_be_removed_by_a_later_job(db: &Db) {
    let upload = db.archived().await;
    let early = db.left().await;
    let job = db.another_job(upload, SourceAction::Delete).await.unwrap();
    db.finish(job).await;
    assert!(db.catalog.remove_source(upload).await.unwrap());
    // Somebody has removed what was at the old place, and is slow to say so.
    db.catalog.source_left_gone(&early[0]).await.unwrap();
    let left = db.left().await;
    assert_eq!(left.len(), 1, "what was in the archive store is still to be removed");
    assert_eq!(left[0].state, SourceState::Removed);
    assert_eq!(db.number("SELECT bytes_stored FROM tenants").await, 0);
}

async fn an_archived_source_that_is_given_up_is_freed_everywhere(db: &Db) {
    let upload = db.archived().await;
    db.catalog.abort_upload_also_complete(&tenant(), upload).await.unwrap();
    assert_eq!(db.left().await, [], "all of it is to be freed");
    db.catalog.upload_freed(upload).await.unwrap();
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), [upload]);
    assert_eq!(db.kept(upload).await, [Kept::Everything, Kept::Everything]);
    db.catalog.upload_freed_everywhere(upload).await.unwrap();
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), []);
    assert_eq!(db.kept(upload).await, [Kept::Nothing, Kept::Nothing]);
}

async fn an_upload_that_is_given_up_is_freed_when_its_mover_has_stopped(db: &Db) {
    let upload = db.succeeded(SourceAction::Archive).await;
    let moving = db.claim_source(upload).await.unwrap();
    db.catalog.abort_upload_also_complete(&tenant(), upload).await.unwrap();
    assert!(
        !db.catalog.keep_source(&moving, LONG).await.unwrap(),
        "that is how it hears of it"
    );
    assert!(!db.catalog.source_moved(&moving, None).await.unwrap());
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), []);
    db.catalog.let_go_source(&moving).await.unwrap();
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), [upload]);
}
