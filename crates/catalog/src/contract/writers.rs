//! Writing an upload (invariants 1 to 3).

use std::{collections::HashSet, time::Duration};

use reelway_domain::{Offset, UploadState, WriterEpoch};
use tokio::task::JoinSet;

use super::{db::Db, fixture::*, on_both};
use crate::{Commit, NewUpload, Opened};

on_both!(
    offsets_never_go_back,
    one_writer,
    concurrent_writers_get_epochs_of_their_own,
    a_commit_puts_expiry_off,
    an_upload_is_complete_at_its_length_only,
    a_complete_upload_is_immutable,
);

async fn offsets_never_go_back(db: &Db) {
    let (upload, _) = db.receiving().await;
    let writer = db.opened(&upload).await;
    assert_eq!(committed(db.commit_at(&writer, 500).await).durable_offset, Offset(500));
    assert_eq!(db.commit_at(&writer, 499).await, Commit::Superseded);
    assert_eq!(committed(db.commit_at(&writer, 500).await).durable_offset, Offset(500));
    let later = db.opened(&upload).await;
    assert_eq!(later.durable_offset, Offset(500));
    assert_eq!(db.commit_at(&later, 0).await, Commit::Superseded);
    assert_eq!(
        db.catalog
            .complete_upload(upload.id, later.writer_epoch, 499)
            .await
            .unwrap(),
        Commit::Superseded
    );
    assert_eq!(db.upload(upload.id).await.durable_offset, Offset(500));
}

async fn one_writer(db: &Db) {
    let (upload, _) = db.receiving().await;
    let first = db.opened(&upload).await;
    db.commit_at(&first, 100).await;
    let second = db.opened(&upload).await;
    assert_eq!(second.writer_epoch, WriterEpoch(first.writer_epoch.0 + 1));
    assert_eq!(db.commit_at(&first, 200).await, Commit::Superseded);
    assert_eq!(
        db.catalog
            .complete_upload(upload.id, first.writer_epoch, 200)
            .await
            .unwrap(),
        Commit::Superseded
    );
    assert_eq!(
        db.catalog
            .fail_upload(upload.id, first.writer_epoch, &permanent())
            .await
            .unwrap(),
        Commit::Superseded
    );
    assert_eq!(db.upload(upload.id).await.durable_offset, Offset(100));
    assert_eq!(committed(db.commit_at(&second, 300).await).durable_offset, Offset(300));
}

async fn concurrent_writers_get_epochs_of_their_own(db: &Db) {
    let (upload, _) = db.receiving().await;
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let (catalog, id) = (db.catalog.clone(), upload.id);
        writers.spawn(async move {
            let Opened::Writer(writer) = catalog.open_writer(&tenant(), id).await.unwrap() else {
                panic!("it still receives");
            };
            catalog
                .commit_offset(id, writer.writer_epoch, Offset(1), LONG)
                .await
                .unwrap();
            writer.writer_epoch
        });
    }
    let epochs: HashSet<WriterEpoch> = writers.join_all().await.into_iter().collect();
    assert_eq!(epochs, (1..=16).map(WriterEpoch).collect());
}

async fn a_commit_puts_expiry_off(db: &Db) {
    let new = NewUpload {
        expiry: Duration::ZERO,
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let writer = db.opened(&upload).await;
    assert_eq!(writer.expires_at, upload.expires_at, "opening brings no byte");
    let later = committed(db.commit_at(&writer, 1).await);
    assert!(later.expires_at.0 >= upload.expires_at.0 + 3_600_000);
}

async fn an_upload_is_complete_at_its_length_only(db: &Db) {
    let new = NewUpload {
        size: Some(SIZE_BYTES),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let writer = db.opened(&upload).await;
    let complete = async |size| {
        db.catalog
            .complete_upload(upload.id, writer.writer_epoch, size)
            .await
            .unwrap()
    };
    assert_eq!(complete(SIZE_BYTES - 1).await, Commit::Superseded);
    assert_eq!(complete(SIZE_BYTES + 1).await, Commit::Superseded);
    let past = db
        .catalog
        .commit_offset(upload.id, writer.writer_epoch, Offset(SIZE_BYTES + 1), LONG)
        .await;
    assert!(past.is_err(), "{past:?}");
    let done = committed(complete(SIZE_BYTES).await);
    assert_eq!((done.size, done.durable_offset), (Some(SIZE_BYTES), Offset(SIZE_BYTES)));
    assert!(done.completed_at.is_some());
}

async fn a_complete_upload_is_immutable(db: &Db) {
    let (upload, _) = db.complete().await;
    assert_eq!(upload.state, UploadState::Complete);
    assert_eq!(db.commit_at(&upload, SIZE_BYTES).await, Commit::Superseded);
    let again = db
        .catalog
        .complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES)
        .await
        .unwrap();
    assert_eq!(again, Commit::Superseded);
    assert_eq!(
        db.catalog.open_writer(&tenant(), upload.id).await.unwrap(),
        Opened::Ended(upload.clone())
    );
    let failed = db
        .catalog
        .fail_upload(upload.id, upload.writer_epoch, &permanent())
        .await
        .unwrap();
    assert_eq!(failed, Commit::Superseded);
    let aborted = db.catalog.abort_upload(&tenant(), upload.id).await.unwrap();
    assert_eq!(aborted, crate::UploadEnd::Before(upload.clone()));
    assert_eq!(db.upload(upload.id).await, upload);
}
