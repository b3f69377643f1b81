//! What a bucket holds of an upload is recorded with the offset, or not at all.

use reelway_domain::{Multipart, Offset, Staged, StagedChange, StoredPart, StoredRest, WriterId, limits};

use super::{db::Db, fixture::*, on_both};
use crate::{Commit, Upload};

on_both!(
    what_is_recorded_is_told_to_the_next_writer,
    a_part_takes_the_place_of_the_rests_that_it_holds,
    one_rest_takes_the_place_of_those_before,
    a_stale_writer_records_nothing,
    a_writer_that_was_taken_over_has_its_numbers_for_itself,
    a_complete_upload_is_one_object,
    an_upload_that_is_removed_takes_what_was_staged_with_it,
);

fn part(number: u32, from: i64, size_bytes: i64) -> StoredPart {
    StoredPart {
        number,
        from: Offset(from),
        size_bytes,
        etag: format!("\"{number}\""),
    }
}

fn rest(from: i64, to: i64) -> StoredRest {
    StoredRest {
        key: format!("rest-{from}-{to}"),
        from: Offset(from),
        to: Offset(to),
    }
}

fn parts(parts: Vec<StoredPart>) -> StagedChange {
    StagedChange {
        parts,
        ..StagedChange::default()
    }
}

fn rests(rests: Vec<StoredRest>) -> StagedChange {
    StagedChange {
        rests,
        ..StagedChange::default()
    }
}

impl Db {
    async fn commit_staged(&self, writer: &Upload, offset: i64, change: &StagedChange) -> Commit {
        self.catalog
            .commit_staged(writer.id, writer.writer_epoch, Offset(offset), LONG, change)
            .await
            .unwrap()
    }

    async fn staged(&self, upload: &Upload) -> Staged {
        self.catalog.staged(upload.id).await.unwrap()
    }
}

/// An upload with one part of 800 bytes and two rests behind it, and its writer.
pub(super) async fn begun(db: &Db) -> Upload {
    let (upload, _) = db.receiving().await;
    let writer = db.opened_by(&upload, WriterId::new()).await;
    let first = StagedChange {
        multipart: Some(Multipart {
            id: "m".into(),
            key: "source-1".into(),
        }),
        ..parts(vec![part(1, 0, 800)])
    };
    committed(db.commit_staged(&writer, 800, &first).await);
    committed(db.commit_staged(&writer, 850, &rests(vec![rest(800, 850)])).await);
    committed(db.commit_staged(&writer, 900, &rests(vec![rest(850, 900)])).await)
}

async fn what_is_recorded_is_told_to_the_next_writer(db: &Db) {
    let writer = begun(db).await;
    assert_eq!(writer.durable_offset, Offset(900));
    let expected = Staged {
        multipart: Some(Multipart {
            id: "m".into(),
            key: "source-1".into(),
        }),
        parts: vec![part(1, 0, 800)],
        rests: vec![rest(800, 850), rest(850, 900)],
        next_number: 2,
    };
    assert_eq!(db.staged(&writer).await, expected);
    committed(db.commit_staged(&writer, 900, &StagedChange::default()).await);
    assert_eq!(db.staged(&writer).await, expected, "an empty change changes nothing");
}

async fn a_part_takes_the_place_of_the_rests_that_it_holds(db: &Db) {
    let writer = begun(db).await;
    let change = StagedChange {
        rests: vec![rest(1600, 1700)],
        ..parts(vec![part(2, 800, 800)])
    };
    committed(db.commit_staged(&writer, 1700, &change).await);
    let staged = db.staged(&writer).await;
    assert_eq!(staged.parts, [part(1, 0, 800), part(2, 800, 800)]);
    assert_eq!((staged.rests, staged.next_number), (vec![rest(1600, 1700)], 3));
}

async fn one_rest_takes_the_place_of_those_before(db: &Db) {
    let writer = begun(db).await;
    committed(db.commit_staged(&writer, 950, &rests(vec![rest(800, 950)])).await);
    assert_eq!(db.staged(&writer).await.rests, [rest(800, 950)]);
}

async fn a_stale_writer_records_nothing(db: &Db) {
    let stale = begun(db).await;
    let writer = db.opened_by(&stale, WriterId::new()).await;
    let before = db.staged(&writer).await;
    for change in [parts(vec![part(2, 800, 800)]), rests(vec![rest(900, 1600)])] {
        assert_eq!(db.commit_staged(&stale, 1600, &change).await, Commit::Superseded);
    }
    let completed = db
        .catalog
        .complete_upload_in(stale.id, stale.writer_epoch, 900, Some("x"));
    assert_eq!(completed.await.unwrap(), Commit::Superseded);
    assert_eq!(db.staged(&writer).await, before);
    let back = rests(vec![rest(800, 850)]);
    assert_eq!(
        db.commit_staged(&writer, 850, &back).await,
        Commit::Superseded,
        "nor does anybody below the durable offset"
    );
    assert_eq!(db.staged(&writer).await, before);
}

async fn a_writer_that_was_taken_over_has_its_numbers_for_itself(db: &Db) {
    let mut next = 2;
    let mut writer = begun(db).await;
    let flights = u32::try_from(limits::PARTS_IN_FLIGHT_MAX).unwrap();
    for _ in 0..2 {
        writer = db.opened_by(&writer, WriterId::new()).await;
        next += flights;
        assert_eq!(db.staged(&writer).await.next_number, next);
    }
    committed(
        db.commit_staged(&writer, 1600, &parts(vec![part(next, 800, 800)]))
            .await,
    );
    db.catalog.let_go(writer.id, writer.writer_epoch).await.unwrap();
    let successor = db.opened_by(&writer, WriterId::new()).await;
    let staged = db.staged(&successor).await;
    assert_eq!(staged.next_number, next + 1, "one that ended well sends nothing more");
    assert_eq!(staged.parts, [part(1, 0, 800), part(next, 800, 800)]);
}

async fn a_complete_upload_is_one_object(db: &Db) {
    let writer = begun(db).await;
    let done = db
        .catalog
        .complete_upload_in(writer.id, writer.writer_epoch, 900, Some("source-1"));
    let complete = committed(done.await.unwrap());
    assert_eq!(complete.source_key.as_deref(), Some("source-1"));
    assert_eq!(db.upload(writer.id).await.source_key.as_deref(), Some("source-1"));
    let staged = db.staged(&writer).await;
    assert_eq!((staged.parts, staged.rests), (Vec::new(), Vec::new()));
}

async fn an_upload_that_is_removed_takes_what_was_staged_with_it(db: &Db) {
    let writer = begun(db).await;
    let other = begun(db).await;
    db.raw(&format!("DELETE FROM jobs WHERE upload_id = '{}'", writer.id))
        .await
        .unwrap();
    db.raw(&format!("DELETE FROM uploads WHERE id = '{}'", writer.id))
        .await
        .unwrap();
    assert_eq!((db.count("parts").await, db.count("rests").await), (1, 2));
    assert_eq!(db.staged(&other).await.parts.len(), 1);
}
