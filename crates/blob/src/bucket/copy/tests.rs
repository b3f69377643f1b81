use object_store::ObjectStoreExt as _;
use reelway_domain::{Staged, UploadId, WriterEpoch};

use super::*;
use crate::{bucket::tests::content, testing::At};

const MIB: u64 = 1 << 20;

fn steps(filling: &mut Filling, lengths: &[u64]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for length in lengths {
        let mut left = *length;
        while left > 0 {
            let step = filling.step(left);
            let (Step::Copy(bytes) | Step::Carry(bytes)) = step;
            assert!(bytes > 0);
            left -= bytes;
            steps.push(step);
        }
    }
    steps
}

fn filling(at: u64, begin: u64, size: u64, is_equal: bool) -> Filling {
    let size = Some(size);
    Filling {
        at,
        begin,
        size,
        is_equal,
    }
}

#[test]
fn long_objects_are_copied_whole_and_short_ones_are_carried() {
    let lengths = [100 * MIB + 1, 3 * MIB, 3 * MIB, 20 * MIB + 5];
    let mut at = filling(0, 0, lengths.iter().sum(), false);
    let expected = [
        Step::Copy(100 * MIB + 1),
        Step::Carry(3 * MIB),
        Step::Carry(3 * MIB),
        Step::Carry(2 * MIB),
        Step::Copy(18 * MIB + 5),
    ];
    assert_eq!(steps(&mut at, &lengths), expected);
    assert_eq!(at.at, lengths.iter().sum::<u64>());
}

#[test]
fn a_part_that_was_begun_is_filled_first() {
    let mut at = filling(11 * MIB, 8 * MIB, 1 << 30, false);
    assert_eq!(
        steps(&mut at, &[15 * MIB]),
        [Step::Carry(5 * MIB), Step::Copy(10 * MIB)]
    );
}

#[test]
fn no_copy_is_too_long_or_too_short_and_the_numbers_last() {
    for size in [10 * MIB, 257 * MIB, 60 << 30, 5 << 40] {
        let mut at = filling(0, 0, size, false);
        let steps = steps(&mut at, &[size]);
        let lengths = steps.iter().map(|step| match step {
            Step::Copy(bytes) => *bytes,
            Step::Carry(_) => panic!("{size}: it is long enough to be copied"),
        });
        assert!(
            lengths.clone().all(|bytes| (8 * MIB..5 << 30).contains(&bytes)),
            "{size}"
        );
        assert_eq!(lengths.sum::<u64>(), size);
        assert!(steps.len() < 7500, "{size}: {}", steps.len());
    }
}

#[test]
fn where_parts_must_be_equal_they_are() {
    let lengths = [20 * MIB, 20 * MIB];
    let mut at = filling(0, 0, 40 * MIB, true);
    let expected = [
        Step::Copy(8 * MIB),
        Step::Copy(8 * MIB),
        Step::Carry(4 * MIB),
        Step::Carry(4 * MIB),
        Step::Copy(8 * MIB),
        Step::Copy(8 * MIB),
    ];
    assert_eq!(steps(&mut at, &lengths), expected);
}

#[tokio::test]
async fn the_store_copies_a_range_of_what_it_has() {
    let (store, content) = (At::S3.store(None).await, content(30 << 20, 5));
    let source = store.inner.names.upload(UploadId::new()).join("source-1");
    store.inner.objects.put(&source, content.clone().into()).await.unwrap();
    let nothing = Staged {
        multipart: None,
        parts: Vec::new(),
        rests: Vec::new(),
        next_number: 1,
    };
    let size = Offset(12 << 20);
    let writer = store.writer(UploadId::new(), WriterEpoch(1), Some(size), nothing, false);
    let (from, bytes) = (Offset(5 << 20), 11 * MIB);
    assert_eq!(writer.filling().await.unwrap().step(bytes), Step::Copy(bytes));
    writer
        .copy_at(Offset::ZERO, source.as_ref(), from, bytes)
        .await
        .unwrap();
    let end = Offset(11 << 20);
    writer.write_at(end, content.slice(..1 << 20)).await.unwrap();
    let early = writer.copy_at(size, source.as_ref(), from, bytes).await;
    assert!(
        matches!(early, Err(BlobError::PartLost { .. })),
        "in the middle of a part"
    );
    let synced = writer.finish(size).await.unwrap();
    assert_eq!(synced.offset, size);
    writer.recorded(&synced.change).await;
    let key = writer.assemble(size).await.unwrap();
    let read = store.reader(&key).read_at(Offset::ZERO, 12 << 20).await.unwrap();
    assert!(
        read[..11 << 20] == content[5 << 20..16 << 20],
        "other bytes were copied"
    );
    assert!(read[11 << 20..] == content[..1 << 20]);
    assert!(!store.inner.copies.is_refused.load(Ordering::Relaxed));
}

#[tokio::test]
async fn google_is_not_asked_to_copy() {
    let store = At::Google.store(None).await;
    let nothing = Staged {
        multipart: None,
        parts: Vec::new(),
        rests: Vec::new(),
        next_number: 1,
    };
    let writer = store.writer(UploadId::new(), WriterEpoch(1), None, nothing, false);
    assert_eq!(writer.filling().await, None);
}

#[tokio::test]
async fn what_is_not_there_is_not_copied() {
    let store = At::S3.store(None).await;
    let nothing = Staged {
        multipart: None,
        parts: Vec::new(),
        rests: Vec::new(),
        next_number: 1,
    };
    let writer = store.writer(UploadId::new(), WriterEpoch(1), None, nothing, false);
    writer
        .copy_at(Offset::ZERO, "nowhere/x", Offset::ZERO, 9 * MIB)
        .await
        .unwrap();
    let lost = writer.sync(crate::Extent::Everything).await;
    assert!(matches!(lost, Err(BlobError::PartLost { .. })), "{lost:?}");
    assert!(writer.filling().await.is_some(), "others are");
}

/// A server that was paused, and that has the store copy something when another one has long taken over.
#[tokio::test]
async fn what_a_displaced_writer_has_copied_counts_for_nothing() {
    let (store, id) = (At::S3.store(None).await, UploadId::new());
    let (right, wrong) = (content(10 << 20, 1), content(10 << 20, 2));
    let others = store.inner.names.upload(UploadId::new());
    for (name, content) in [("right", &right), ("wrong", &wrong)] {
        store
            .inner
            .objects
            .put(&others.clone().join(name), content.clone().into())
            .await
            .unwrap();
    }
    let multipart = store.begin_multipart(id, WriterEpoch(1)).await.unwrap();
    let staged = |next_number| Staged {
        multipart: Some(multipart.clone()),
        parts: Vec::new(),
        rests: Vec::new(),
        next_number,
    };
    let size = Offset(10 << 20);
    let skipped = u32::try_from(reelway_domain::limits::PARTS_IN_FLIGHT_MAX).unwrap();
    let paused = store.writer(id, WriterEpoch(1), Some(size), staged(1), false);
    let newest = store.writer(id, WriterEpoch(2), Some(size), staged(1 + skipped), false);
    let copied = async |writer: &StagedObject, name| {
        let source = others.clone().join(name);
        writer
            .copy_at(Offset::ZERO, source.as_ref(), Offset::ZERO, 10 * MIB)
            .await
            .unwrap();
        writer.finish(size).await.unwrap()
    };
    let synced = copied(&newest, "right").await;
    copied(&paused, "wrong").await;
    newest.recorded(&synced.change).await;
    let key = newest.assemble(size).await.unwrap();
    let read = store.reader(&key).read_at(Offset::ZERO, 10 << 20).await.unwrap();
    assert!(read == right, "the displaced writer's bytes are there");
}
