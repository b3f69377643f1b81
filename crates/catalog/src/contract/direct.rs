//! Parts that clients put into the bucket themselves.

use reelway_domain::{Multipart, Offset, Staged, StoredPart, WriterId};

use super::{db::Db, fixture::*, on_both};
use crate::{Commit, Counted, DirectPart, DirectParts, NewUpload, Reserved, Upload};

on_both!(
    parts_count_when_all_before_them_do,
    what_was_handed_out_is_handed_out_again,
    a_displaced_client_counts_nothing_and_its_numbers_are_not_used_again,
    no_more_than_a_few_are_out_at_a_time,
    nothing_is_left_of_a_complete_upload,
    what_was_lost_is_handed_out_again_to_whoever_writes,
    jobs_wait_for_the_whole,
);

const PART_BYTES: i64 = 10;

fn asked(count: usize) -> DirectParts {
    let multipart = Multipart {
        id: "m1".into(),
        key: "uploads/u/source-1".into(),
    };
    DirectParts {
        multipart: Some(multipart),
        part_bytes: PART_BYTES,
        count,
        number_max: 10_000,
    }
}

impl Db {
    /// An upload of this length, opened by a client of a bucket.
    async fn direct(&self, size: i64) -> Upload {
        let new = NewUpload {
            size: Some(size),
            ..new_upload()
        };
        let upload = self.catalog.create_upload(&new).await.unwrap().into_inner();
        self.opened(&upload).await
    }

    async fn hand_out(&self, writer: &Upload, asked: &DirectParts) -> Vec<DirectPart> {
        let (id, epoch) = (writer.id, writer.writer_epoch);
        match self.catalog.reserve_direct_parts(id, epoch, LONG, asked).await.unwrap() {
            Reserved::Done { parts, .. } => parts,
            Reserved::Superseded => panic!("superseded"),
        }
    }

    async fn count_parts(&self, writer: &Upload, numbers: &[u32]) -> Commit {
        let seen: Vec<_> = numbers
            .iter()
            .map(|number| (*number, format!("\"e{number}\"")))
            .collect();
        let (id, epoch) = (writer.id, writer.writer_epoch);
        let before = self
            .catalog
            .upload(&tenant(), id)
            .await
            .unwrap()
            .unwrap()
            .durable_offset
            .0;
        match self.catalog.count_direct_parts(id, epoch, LONG, &seen).await.unwrap() {
            Counted::Done { upload, bytes } => {
                assert_eq!(upload.durable_offset.0 - before, bytes);
                Commit::Done(upload)
            }
            Counted::Superseded => Commit::Superseded,
        }
    }

    async fn staged_of(&self, upload: &Upload) -> Staged {
        self.catalog.staged(upload.id).await.unwrap()
    }
}

fn numbers(parts: &[DirectPart]) -> Vec<u32> {
    parts.iter().map(|part| part.number).collect()
}

async fn parts_count_when_all_before_them_do(db: &Db) {
    let writer = db.direct(25).await;
    let parts = db.hand_out(&writer, &asked(5)).await;
    let places: Vec<_> = parts
        .iter()
        .map(|part| (part.number, part.from.0, part.size_bytes))
        .collect();
    assert_eq!(places, [(1, 0, 10), (2, 10, 10), (3, 20, 5)]);
    assert_eq!(
        committed(db.count_parts(&writer, &[3, 2]).await).durable_offset,
        Offset(0)
    );
    assert_eq!(db.staged_of(&writer).await.parts, []);
    assert_eq!(
        committed(db.count_parts(&writer, &[1]).await).durable_offset,
        Offset(25)
    );
    let staged = db.staged_of(&writer).await;
    let counted: Vec<_> = staged
        .parts
        .iter()
        .map(|part| (part.number, part.from.0, &*part.etag))
        .collect();
    assert_eq!(counted, [(1, 0, "\"e1\""), (2, 10, "\"e2\""), (3, 20, "\"e3\"")]);
    assert_eq!(staged.multipart, asked(0).multipart);
    // Reporting again changes nothing.
    assert_eq!(
        committed(db.count_parts(&writer, &[1, 2, 3]).await).durable_offset,
        Offset(25)
    );
    assert_eq!(db.staged_of(&writer).await, staged);
    assert_eq!(db.hand_out(&writer, &asked(5)).await, []);
    assert_eq!(db.count("direct_parts").await, 0);
}

async fn what_was_handed_out_is_handed_out_again(db: &Db) {
    let writer = db.direct(100).await;
    assert_eq!(numbers(&db.hand_out(&writer, &asked(3)).await), [1, 2, 3]);
    db.count_parts(&writer, &[2]).await;
    assert_eq!(numbers(&db.hand_out(&writer, &asked(3)).await), [1, 3, 4]);
    assert_eq!(numbers(&db.hand_out(&writer, &asked(1)).await), [1]);
    // Another multipart upload that was begun meanwhile is not taken.
    let mut other = asked(3);
    other.multipart = Some(Multipart {
        id: "m2".into(),
        key: "k".into(),
    });
    assert_eq!(numbers(&db.hand_out(&writer, &other).await), [1, 3, 4]);
    assert_eq!(db.staged_of(&writer).await.multipart, asked(0).multipart);
}

async fn a_displaced_client_counts_nothing_and_its_numbers_are_not_used_again(db: &Db) {
    let first = db.direct(100).await;
    db.hand_out(&first, &asked(4)).await;
    db.count_parts(&first, &[1, 3]).await;
    let second = db.opened_by(&first, WriterId::new()).await;
    assert_eq!(second.durable_offset, Offset(PART_BYTES));
    let handed_out = db
        .catalog
        .reserve_direct_parts(first.id, first.writer_epoch, LONG, &asked(4))
        .await;
    assert_eq!(handed_out.unwrap(), Reserved::Superseded);
    assert_eq!(db.count_parts(&first, &[2]).await, Commit::Superseded);
    let next = db.staged_of(&second).await.next_number;
    assert!(next > 4, "{next}");
    let parts = db.hand_out(&second, &asked(2)).await;
    assert_eq!(numbers(&parts), [next, next + 1]);
    assert_eq!(parts[0].from, Offset(PART_BYTES));
    // Numbers of the first client mean nothing under the second one's epoch.
    assert_eq!(
        committed(db.count_parts(&second, &[2, 3]).await).durable_offset,
        Offset(PART_BYTES)
    );
    assert_eq!(db.count("direct_parts").await, 2);
    db.count_parts(&second, &[next]).await;
    let counted: Vec<_> = db
        .staged_of(&second)
        .await
        .parts
        .iter()
        .map(|part| part.number)
        .collect();
    assert_eq!(counted, [1, next]);
}

async fn no_more_than_a_few_are_out_at_a_time(db: &Db) {
    let writer = db.direct(100_000).await;
    let most = reelway_domain::limits::DIRECT_PARTS_MAX;
    assert_eq!(db.hand_out(&writer, &asked(1000)).await.len(), most);
    let last = u32::try_from(most).unwrap();
    let but_first: Vec<u32> = (2..=last).collect();
    db.count_parts(&writer, &but_first).await;
    assert_eq!(
        numbers(&db.hand_out(&writer, &asked(1000)).await),
        [1],
        "the gap is closed first"
    );
    db.count_parts(&writer, &[1]).await;
    assert_eq!(numbers(&db.hand_out(&writer, &asked(1)).await), [last + 1]);
    let mut few = asked(10);
    few.number_max = last + 3;
    assert_eq!(
        numbers(&db.hand_out(&writer, &few).await),
        [last + 1, last + 2, last + 3]
    );
}

async fn nothing_is_left_of_a_complete_upload(db: &Db) {
    let writer = db.direct(20).await;
    db.hand_out(&writer, &asked(2)).await;
    db.count_parts(&writer, &[1, 2]).await;
    let last = db.opened(&writer).await;
    let done = db
        .catalog
        .complete_upload_in(last.id, last.writer_epoch, 20, Some("k"))
        .await;
    committed(done.unwrap());
    assert_eq!(db.count("direct_parts").await + db.count("parts").await, 0);
    let late = db
        .catalog
        .reserve_direct_parts(last.id, last.writer_epoch, LONG, &asked(1))
        .await;
    assert_eq!(late.unwrap(), Reserved::Superseded);
}

async fn what_was_lost_is_handed_out_again_to_whoever_writes(db: &Db) {
    let writer = db.direct(40).await;
    db.hand_out(&writer, &asked(4)).await;
    db.count_parts(&writer, &[1, 2, 3]).await;
    let (id, epoch) = (writer.id, writer.writer_epoch);
    let kept = committed(db.catalog.lose_parts(id, epoch, LONG, &[2, 3]).await.unwrap());
    assert_eq!(kept.durable_offset.0, 30, "offsets never go back");
    let lost = |staged: Staged| staged.parts.iter().map(StoredPart::is_lost).collect::<Vec<_>>();
    assert_eq!(lost(db.staged_of(&writer).await), [false, true, true]);
    let again = db.hand_out(&writer, &asked(4)).await;
    assert_eq!(numbers(&again), [2, 3, 4]);
    assert_eq!((again[0].from.0, again[0].size_bytes), (10, 10));
    db.count_parts(&writer, &[3, 4]).await;
    let next = db.opened(&writer).await;
    let displaced = db.catalog.lose_parts(id, epoch, LONG, &[1]).await.unwrap();
    assert_eq!(displaced, Commit::Superseded);
    assert_eq!(numbers(&db.hand_out(&next, &asked(4)).await), [2]);
    db.count_parts(&next, &[2]).await;
    assert_eq!(lost(db.staged_of(&next).await), [false; 4]);
    assert!(db.hand_out(&next, &asked(4)).await.is_empty());
}

async fn jobs_wait_for_the_whole(db: &Db) {
    let new = NewUpload {
        size: Some(30),
        job: Some(new_job()),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let writer = db.opened(&upload).await;
    db.raw("UPDATE tasks SET ready_at_offset = 5 WHERE kind = 'probe'")
        .await
        .unwrap();
    db.hand_out(&writer, &asked(3)).await;
    db.count_parts(&writer, &[1, 2]).await;
    assert_eq!(
        db.try_claim().await,
        None,
        "20 of 30 bytes count, and nobody can read them"
    );
}
