//! What is left over in a bucket, on the S3 server that `scripts/test` starts.

use std::{
    env,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use reelway_blob::{BucketSettings, BucketStore, Extent, Held, What};
use reelway_domain::{FileEpoch, JobId, Offset, Staged, UploadId, WriterEpoch};
use tokio_stream::StreamExt as _;

use super::*;
use crate::testing::{Fixture, eventually};

/// A bucket of its own, as far as keys go.
async fn bucket() -> BucketStore {
    let base = env::var("REELWAY_TEST_S3").expect("scripts/test sets REELWAY_TEST_S3");
    let endpoint = env::var("REELWAY_TEST_S3_ENDPOINT").expect("scripts/test sets REELWAY_TEST_S3_ENDPOINT");
    let settings = BucketSettings {
        endpoint: Some(endpoint.parse().unwrap()),
        ..BucketSettings::default()
    };
    let url = format!("{base}/sweep-{}", UploadId::new());
    BucketStore::open(&url.parse().unwrap(), &settings).await.unwrap()
}

async fn held(bucket: &BucketStore) -> Vec<Held> {
    let mut all: Vec<Held> = bucket.held().collect::<Result<_, _>>().await.unwrap();
    all.retain(|held| !held.key.ends_with("store.id"));
    all
}

/// An upload in the bucket, as it is while it arrives: a multipart upload, a part, and a rest.
async fn begin(bucket: &BucketStore, id: UploadId) {
    let nothing = Staged {
        multipart: None,
        parts: Vec::new(),
        rests: Vec::new(),
        next_number: 1,
    };
    let writer = bucket.writer(id, WriterEpoch(1), None, nothing, true);
    let bytes = Bytes::from(vec![7; (9 << 20) + 5]);
    writer.write_at(Offset::ZERO, bytes).await.unwrap();
    writer.sync(Extent::Everything).await.unwrap();
    // Nobody waits for the copy that workers read.
    eventually(async || held(bucket).await.iter().any(|held| held.key.ends_with("/seen-1"))).await;
}

/// So much later that whatever is left is old.
fn after(age: Duration) -> SystemTime {
    SystemTime::now() + age + Duration::from_secs(60)
}

#[tokio::test]
async fn what_nobody_knows_goes_with_its_multipart_uploads() {
    let (fixture, bucket) = (Fixture::new().await, bucket().await);
    let (lost, known) = (UploadId::new(), fixture.upload_with_job().await);
    begin(&bucket, lost).await;
    let key = "video-0001-e1/0.m4s".parse().unwrap();
    for job in [JobId::new(), known.job.unwrap()] {
        bucket.output(job).write(&key, Bytes::from_static(b"x")).await.unwrap();
    }
    let begun = |held: &Held| matches!(held.what, What::Multipart(_));
    let before = held(&bucket).await;
    assert!(before.iter().any(begun) && before.len() >= 4, "{before:?}");

    let store = Store::from(bucket.clone());
    sweep(&fixture.catalog, &store, Keeper::Uploads, SystemTime::now())
        .await
        .unwrap();
    assert_eq!(held(&bucket).await, before, "too young");
    let later = after(LEFTOVER_AGE_MIN);
    // Two servers at once, which find the same.
    let both = tokio::join!(
        sweep(&fixture.catalog, &store, Keeper::Uploads, later),
        sweep(&fixture.catalog, &store, Keeper::Uploads, later)
    );
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    let left = held(&bucket).await;
    let (kept, id) = (&left[0].key, known.job.unwrap().to_string());
    assert!(left.len() == 1 && kept.contains(&id), "{left:?}");
}

#[tokio::test]
async fn an_upload_that_arrives_keeps_what_its_row_names() {
    let (fixture, bucket) = (Fixture::new().await, bucket().await);
    let known = fixture.upload_with_job().await;
    assert_eq!(known.file_epoch, FileEpoch::FIRST);
    // None of it is in the row: as a writer leaves it that was killed before its commit.
    begin(&bucket, known.id).await;
    let (store, before) = (Store::from(bucket.clone()), held(&bucket).await);
    sweep(&fixture.catalog, &store, Keeper::Uploads, after(LEFTOVER_AGE_MIN))
        .await
        .unwrap();
    assert_eq!(held(&bucket).await, before, "its writer may still be at it");
    let day = Duration::from_secs(24 * 3600);
    sweep(&fixture.catalog, &store, Keeper::Uploads, after(day))
        .await
        .unwrap();
    let left = held(&bucket).await;
    assert!(!left.is_empty(), "copies of parts go with the upload");
    assert!(left.iter().all(|held| held.key.contains("/seen-")), "{left:?}");
}

#[tokio::test]
async fn both_stores_are_swept_even_if_one_can_not_be() {
    let (fixture, outputs) = (Fixture::new().await, bucket().await);
    let known = fixture.upload_with_job().await;
    let (key, lost) = ("video/0.m4s".parse().unwrap(), UploadId::new());
    for job in [JobId::new(), known.job.unwrap()] {
        outputs.output(job).write(&key, Bytes::from_static(b"x")).await.unwrap();
    }
    fixture.store.create_upload(lost).await.unwrap();
    let stores = Stores {
        sources: fixture.bytes.clone(),
        outputs: outputs.clone().into(),
        archive: None,
    };
    let later = after(LEFTOVER_AGE_MIN);
    sweep_all(&fixture.catalog, &stores, later).await.unwrap();
    let (left, id) = (held(&outputs).await, known.job.unwrap().to_string());
    assert!(left.len() == 1 && left[0].key.contains(&id), "{left:?}");
    assert!(!fixture.store.upload_path(lost, FileEpoch::FIRST).exists());
    assert!(fixture.store.upload_path(known.id, known.file_epoch).exists());

    outputs
        .output(JobId::new())
        .write(&key, Bytes::from_static(b"x"))
        .await
        .unwrap();
    // The disk breaks: its directory of uploads is a file.
    let dir = fixture.store.upload_path(known.id, known.file_epoch);
    let uploads = dir.parent().and_then(std::path::Path::parent).unwrap();
    std::fs::rename(uploads, uploads.with_extension("away")).unwrap();
    std::fs::write(uploads, b"").unwrap();
    assert!(sweep_all(&fixture.catalog, &stores, later).await.is_err());
    assert_eq!(held(&outputs).await, left, "the other store was swept");
}
