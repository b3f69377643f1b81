//! Writing an upload (invariants 1 to 3).

use std::{collections::HashSet, time::Duration};

use reelway_domain::{FileEpoch, Offset, UploadId, UploadState, WriterEpoch, WriterId};
use tokio::task::JoinSet;

use super::{db::Db, fixture::*, on_both};
use crate::{Commit, EarlierBytes, Keeper, NewUpload, Opened};

on_both!(
    offsets_never_go_back,
    one_writer,
    concurrent_writers_get_epochs_of_their_own,
    a_commit_puts_expiry_off,
    an_upload_is_complete_at_its_length_only,
    a_complete_upload_is_immutable,
    one_process_goes_on_in_its_file_and_another_begins_its_own,
    a_writer_that_ended_leaves_its_file_to_anybody,
    the_store_keeps_what_is_still_needed,
    a_length_is_declared_once,
    a_writer_is_ended_without_another_in_its_place,
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
            let Opened::Writer(writer) = catalog.open_writer(&tenant(), id, WriterId::new()).await.unwrap() else {
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
        db.catalog
            .open_writer(&tenant(), upload.id, WriterId::new())
            .await
            .unwrap(),
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

async fn one_process_goes_on_in_its_file_and_another_begins_its_own(db: &Db) {
    let (a, b) = (WriterId::new(), WriterId::new());
    let (upload, _) = db.receiving().await;
    // Whose turn it is, how far it comes, and which file it writes.
    let turns = [
        (a, 100, 0),
        (a, 200, 0),
        (b, 200, 3),
        (a, 300, 4),
        (a, 400, 4),
        (b, SIZE_BYTES, 6),
    ];
    let mut writer = upload;
    for (process, to, file) in turns {
        writer = db.opened_by(&writer, process).await;
        assert_eq!((writer.writer, writer.file_epoch), (Some(process), FileEpoch(file)));
        writer = committed(db.commit_at(&writer, to).await);
    }
    let earlier = [(0, 0, 200), (3, 200, 200), (4, 200, 400)].map(|(file, from, to)| EarlierBytes {
        file: FileEpoch(file),
        from: Offset(from),
        to: Offset(to),
    });
    assert_eq!(db.catalog.earlier_bytes(&writer).await.unwrap(), Some(earlier.to_vec()));
    let done = db.catalog.complete_upload(writer.id, writer.writer_epoch, SIZE_BYTES);
    let done = committed(done.await.unwrap());
    assert_eq!(done.file_epoch, FileEpoch(6));
    assert_eq!(db.catalog.earlier_bytes(&writer).await.unwrap(), None, "it has ended");
    assert_eq!(db.count("upload_files").await, 0);
    let (other, _) = db.receiving().await;
    let first = db.opened_by(&other, a).await;
    assert_eq!(db.catalog.earlier_bytes(&first).await.unwrap(), Some(vec![]));
}

async fn a_writer_that_ended_leaves_its_file_to_anybody(db: &Db) {
    let (a, b) = (WriterId::new(), WriterId::new());
    let (upload, _) = db.receiving().await;
    let old = db.opened_by(&upload, a).await;
    let first = db.opened_by(&old, a).await;
    db.catalog.let_go(upload.id, old.writer_epoch).await.unwrap();
    assert_eq!(
        db.upload(upload.id).await.writer,
        Some(a),
        "a superseded writer has nothing to let go"
    );
    db.catalog.let_go(upload.id, first.writer_epoch).await.unwrap();
    assert_eq!(db.upload(upload.id).await.writer, None);
    let second = db.opened_by(&upload, b).await;
    assert_eq!(
        (second.writer_epoch, second.file_epoch),
        (WriterEpoch(3), FileEpoch::FIRST)
    );
    let third = db.opened_by(&upload, a).await;
    assert_eq!(third.file_epoch, FileEpoch(4));
}

async fn the_store_keeps_what_is_still_needed(db: &Db) {
    let keeps = async |upload: UploadId| {
        let mut kept = Vec::new();
        for file in [0, 2, 9] {
            kept.push(
                db.catalog
                    .keeps_upload_file(upload, FileEpoch(file), Keeper::Uploads)
                    .await
                    .unwrap(),
            );
        }
        kept
    };
    let (upload, _) = db.receiving().await;
    db.opened_by(&upload, WriterId::new()).await;
    let writer = db.opened_by(&upload, WriterId::new()).await;
    assert_eq!(keeps(upload.id).await, [true; 3], "it may still be written");
    let done = db.catalog.complete_upload(upload.id, writer.writer_epoch, SIZE_BYTES);
    committed(done.await.unwrap());
    assert_eq!(keeps(upload.id).await, [false, true, false]);

    let (aborted, _) = db.receiving().await;
    db.catalog.abort_upload(&tenant(), aborted.id).await.unwrap();
    assert_eq!(keeps(aborted.id).await, [true; 3], "the expirer frees it");
    db.catalog.upload_freed(aborted.id).await.unwrap();
    assert_eq!(keeps(aborted.id).await, [false; 3], "a late writer's");
    assert_eq!(keeps(UploadId::new()).await, [false; 3]);
}

async fn a_length_is_declared_once(db: &Db) {
    let (upload, _) = db.receiving().await;
    let old = db.opened(&upload).await;
    let writer = db.opened(&upload).await;
    db.commit_at(&writer, 100).await;
    let declare = async |writer: &crate::Upload, size| {
        let declared = db.catalog.declare_size(writer.id, writer.writer_epoch, size);
        declared.await.unwrap()
    };
    assert_eq!(declare(&old, 500).await, Commit::Superseded);
    assert_eq!(declare(&writer, 99).await, Commit::Superseded, "more is durable");
    assert_eq!(db.upload(upload.id).await.size, None);
    for _ in 0..2 {
        assert_eq!(committed(declare(&writer, 500).await).size, Some(500));
    }
    assert_eq!(declare(&writer, 501).await, Commit::Superseded);
    assert!(matches!(db.commit_at(&writer, 500).await, Commit::Done(_)));
}

async fn a_writer_is_ended_without_another_in_its_place(db: &Db) {
    let (a, b) = (WriterId::new(), WriterId::new());
    let (upload, _) = db.receiving().await;
    let writer = db.opened_by(&upload, a).await;
    let writer = committed(db.commit_at(&writer, 100).await);
    let fence = async |epoch: i64| db.catalog.fence_writer(upload.id, WriterEpoch(epoch)).await.unwrap();
    assert_eq!(fence(writer.writer_epoch.0 - 1).await, None, "another one is meant");
    let fenced = fence(writer.writer_epoch.0).await.unwrap();
    assert_eq!((fenced.writer, fenced.durable_offset), (None, Offset(100)));
    assert_eq!(db.commit_at(&writer, 200).await, Commit::Superseded);
    let next = db.opened_by(&upload, b).await;
    assert_eq!(next.file_epoch, fenced.file_epoch, "which nobody has written yet");
    let earlier = db.catalog.earlier_bytes(&next).await.unwrap().unwrap();
    let first = EarlierBytes {
        file: FileEpoch::FIRST,
        from: Offset(0),
        to: Offset(100),
    };
    assert_eq!(earlier, [first]);
    let done = db.catalog.complete_upload(upload.id, next.writer_epoch, SIZE_BYTES);
    committed(done.await.unwrap());
    assert_eq!(fence(next.writer_epoch.0).await, None, "it has ended");
}
