//! Creating, finding and listing uploads.

use reelway_domain::{Offset, Tenant, UploadState, WriterId};

use super::{db::Db, fixture::*, on_both};
use crate::{Created, NewUpload, Upload};

on_both!(
    an_upload_is_stored_as_it_was_asked_for,
    a_tenant_sees_only_its_own,
    uploads_are_listed_newest_first_in_pages,
    an_empty_upload_completes,
);

async fn an_upload_is_stored_as_it_was_asked_for(db: &Db) {
    let job = new_job();
    let new = NewUpload {
        size: Some(i64::MAX),
        file_name: "Ferien 🏖 'x\".mp4".into(),
        metadata: [("key".to_owned(), "välue".to_owned())].into(),
        expected_sha256: Some([0xfe; 32]),
        job: Some(job.clone()),
        ..new_upload()
    };
    let created = match db.catalog.create_upload(&new).await.unwrap() {
        Created::New(upload) => upload,
        Created::Before(upload) => panic!("{upload:?} was not there before"),
    };
    assert_eq!(created, db.upload(new.id).await);
    assert_eq!(created.file_name, new.file_name);
    assert_eq!(created.content_type, new.content_type);
    assert_eq!(created.metadata, new.metadata);
    assert_eq!((created.size, created.expected_sha256), (new.size, new.expected_sha256));
    assert_eq!(
        (created.state, created.durable_offset),
        (UploadState::Receiving, Offset(0))
    );
    assert_eq!(created.job, Some(job.id));
    assert_eq!((created.error, created.completed_at), (None, None));
    let expiry_ms = created.expires_at.0 - created.created_at.0;
    assert!((expiry_ms - 3_600_000).abs() < 1000, "{expiry_ms}");

    let stored = db.job(job.id).await;
    assert_eq!((stored.preset, stored.ladder), (job.preset, job.ladder));
    assert_eq!(stored.upload, new.id);
}

async fn a_tenant_sees_only_its_own(db: &Db) {
    let (upload, job) = db.receiving().await;
    let other = Tenant::stored("other".into());
    assert_eq!(db.catalog.upload(&other, upload.id).await.unwrap(), None);
    assert_eq!(db.catalog.job(&other, job).await.unwrap(), None);
    assert_eq!(db.catalog.tasks(&other, job).await.unwrap(), []);
    assert_eq!(db.catalog.list_uploads(&other, None, None, MANY).await.unwrap(), []);
    assert_eq!(
        db.catalog.abort_upload(&other, upload.id).await.unwrap(),
        crate::UploadEnd::Unknown
    );
    assert_eq!(
        db.catalog.open_writer(&other, upload.id, WriterId::ONLY).await.unwrap(),
        crate::Opened::Unknown
    );
    assert_eq!(
        db.catalog.cancel_job(&other, job).await.unwrap(),
        crate::Cancelled::Unknown
    );
    assert_eq!(
        db.catalog.delete_job(&other, job).await.unwrap(),
        crate::Deleted::Unknown
    );
    assert_eq!(
        db.catalog.retry_job(&other, job).await.unwrap(),
        crate::Retried::Unknown
    );
    assert_eq!(
        db.catalog
            .create_job(&other, upload.id, &new_job(), None)
            .await
            .unwrap(),
        None
    );
    assert_eq!(db.upload(upload.id).await, upload);
}

async fn uploads_are_listed_newest_first_in_pages(db: &Db) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(db.receiving().await.0.id);
    }
    let (complete, _) = db.complete().await;
    ids.push(complete.id);
    ids.reverse();
    let list = async |state, before, count_max| -> Vec<_> {
        let found = db
            .catalog
            .list_uploads(&tenant(), state, before, count_max)
            .await
            .unwrap();
        found.into_iter().map(|upload: Upload| upload.id).collect()
    };
    assert_eq!(list(None, None, MANY).await, ids);
    assert_eq!(list(None, None, 4).await, ids[..4]);
    assert_eq!(list(None, Some(ids[3]), 4).await, ids[4..]);
    assert_eq!(list(Some(UploadState::Complete), None, MANY).await, [complete.id]);
    assert_eq!(list(Some(UploadState::Receiving), Some(ids[2]), 2).await, ids[3..5]);
}

async fn an_empty_upload_completes(db: &Db) {
    let new = NewUpload {
        size: Some(0),
        job: Some(new_job()),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    assert_eq!(upload.state, UploadState::Receiving);
    let writer = db.opened(&upload).await;
    let done = db.catalog.complete_upload(upload.id, writer.writer_epoch, 0).await;
    assert_eq!(committed(done.unwrap()).state, UploadState::Complete);
    assert_eq!(db.claim().await.upload.size, Some(0));
}
