//! Uploads: what was acknowledged is there, as it was sent.

use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reelway_domain::Offset;
use sha2::{Digest as _, Sha256};

use super::{
    draft::{Draft, offset},
    places::Place,
};
use crate::{BlobError, RunPlace, SourcePlace, Store};

/// More than a part of a bucket has, and not a multiple of anything.
const LONG: usize = (17 << 20) + 3;

fn content(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(size as u64).fill(&mut bytes[..]);
    bytes.into()
}

async fn read(store: &Store, place: &SourcePlace, at: usize, bytes: usize) -> Result<Bytes, BlobError> {
    store.read_upload(place).await?.read_at(offset(at), bytes).await
}

#[tokio::test]
async fn every_length_comes_back_as_it_was_sent() {
    for place in Place::all() {
        let store = place.open().await;
        for size in [0, 1, 5 << 20, LONG] {
            let (mut draft, content) = (Draft::begin(&store).await, content(size));
            let writer = draft.writer(&store).await;
            draft.write(&writer, &content).await;
            let source = draft.complete(&writer, size).await.unwrap();
            assert_eq!(
                read(&store, &source, 0, size).await.unwrap(),
                content,
                "{place:?}, {size}"
            );
            let expected: [u8; 32] = Sha256::digest(&content).into();
            assert_eq!(store.sha256(&source, offset(size)).await.unwrap(), expected);
            // Another process finds it too, in the middle and as a file.
            let other = place.open().await;
            let half = size / 2;
            assert_eq!(
                read(&other, &source, half, size - half).await.unwrap(),
                content.slice(half..)
            );
            let dir = tempfile::tempdir().unwrap();
            let file = match other.source(&source).unwrap() {
                RunPlace::File(file) => file,
                RunPlace::Object(object) => {
                    let copy = dir.path().join("copy");
                    object.copy_to(&copy).await.unwrap();
                    copy
                }
            };
            assert_eq!(std::fs::read(file).unwrap(), content);
        }
    }
}

#[tokio::test]
async fn a_writer_goes_on_where_the_last_one_was_acknowledged() {
    for place in Place::all() {
        let (store, content) = (place.open().await, content(LONG));
        let mut draft = Draft::begin(&store).await;
        for end in [3, 4 << 20, 12 << 20, LONG] {
            let writer = draft.writer(&store).await;
            draft.write(&writer, &content.slice(..end)).await;
            if end < LONG {
                // It is killed with bytes that nobody acknowledged.
                writer
                    .write_at(draft.durable, Bytes::from_static(b"lost"))
                    .await
                    .unwrap();
            } else {
                let source = draft.complete(&writer, LONG).await.unwrap();
                assert_eq!(read(&store, &source, 0, LONG).await.unwrap(), content, "{place:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_missing_is_noticed() {
    for place in Place::all() {
        let store = place.open().await;
        let mut draft = Draft::begin(&store).await;
        let writer = draft.writer(&store).await;
        draft.write(&writer, &content(10)).await;
        let short = draft.complete(&writer, 11).await;
        assert!(
            matches!(
                short,
                Err(BlobError::Short {
                    have: 10,
                    expected: 11,
                    ..
                })
            ),
            "{place:?}: {short:?}"
        );
        let source = draft.complete(&writer, 10).await.unwrap();
        let digest = store.sha256(&source, Offset(11)).await;
        assert!(matches!(digest, Err(BlobError::Short { .. })), "{place:?}: {digest:?}");
    }
}

#[tokio::test]
async fn a_complete_upload_stays_until_it_is_removed() {
    for place in Place::all() {
        let (store, content) = (place.open().await, content(LONG));
        let mut draft = Draft::begin(&store).await;
        let writer = draft.writer(&store).await;
        draft.write(&writer, &content).await;
        let source = draft.complete(&writer, LONG).await.unwrap();
        store.tidy_upload(&source).await.unwrap();
        assert_eq!(
            read(&store, &source, 7, 9).await.unwrap(),
            content.slice(7..16),
            "{place:?}"
        );
        for _ in 0..2 {
            store.remove_upload(draft.id).await.unwrap();
        }
        let gone = read(&store, &source, 0, 1).await;
        assert!(matches!(gone, Err(BlobError::NotFound { .. })), "{place:?}: {gone:?}");
    }
}

#[tokio::test]
async fn an_upload_that_was_given_up_leaves_nothing() {
    for place in Place::all() {
        let store = place.open().await;
        let mut draft = Draft::begin(&store).await;
        let writer = draft.writer(&store).await;
        draft.write(&writer, &content(LONG)).await;
        store.remove_upload(draft.id).await.unwrap();
        match &store {
            Store::Disk(disk) => assert_eq!(disk.list_uploads().await.unwrap().len(), 0),
            Store::Bucket(bucket) => {
                use futures_util::TryStreamExt as _;
                let held: Vec<_> = bucket.held().try_collect().await.unwrap();
                assert!(held.iter().all(|held| held.owner == crate::Owner::Store), "{held:?}");
            }
        }
    }
}
