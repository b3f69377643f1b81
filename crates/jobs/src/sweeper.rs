//! The sweeper: removes what crashed processes left in the store and the catalog doesn't need.

use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

use reelway_blob::{BlobError, BucketStore, DiskStore, Store, Stored, Stores};
use reelway_catalog::{Catalog, Keeper};
use reelway_domain::Failure;
use tokio_util::sync::CancellationToken;

use crate::{leftovers::Leftovers, trouble::Trouble};

/// How often the store is looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// What changed since then is left alone: its row may be on its way into the catalog, or its worker still winding down.
const LEFTOVER_AGE_MIN: Duration = Duration::from_secs(3600);

/// Sweeps at start and every hour until `shutdown`.
pub async fn run(catalog: Catalog, stores: Stores, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("store sweeper");
    let sweeper = async {
        loop {
            let swept = sweep_all(&catalog, &stores, SystemTime::now()).await;
            let pause = trouble.pause(swept, SWEEP_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(sweeper).await;
}

/// One store that can't be looked through keeps the others from nothing.
async fn sweep_all(catalog: &Catalog, stores: &Stores, now: SystemTime) -> Result<(), Failure> {
    let mut all = Ok(());
    for store in stores.distinct() {
        let keeper = if stores.is_archive(store) {
            Keeper::Archive
        } else {
            Keeper::Uploads
        };
        all = all.and(sweep(catalog, store, keeper, now).await);
    }
    all
}

async fn sweep(catalog: &Catalog, store: &Store, keeper: Keeper, now: SystemTime) -> Result<(), Failure> {
    match store {
        Store::Disk(disk) => sweep_disk(catalog, disk, keeper, now).await,
        Store::Bucket(bucket) => sweep_bucket(catalog, bucket, keeper, now).await,
    }
}

async fn sweep_bucket(catalog: &Catalog, bucket: &BucketStore, keeper: Keeper, now: SystemTime) -> Result<(), Failure> {
    let mut leftovers = Leftovers::of(catalog, bucket, keeper, LEFTOVER_AGE_MIN, now);
    while let Some(leftover) = leftovers.next().await? {
        if leftover.is_ours {
            let held = &leftover.held;
            swept(&held.key, "object", bucket.remove_held(held).await);
        }
    }
    Ok(())
}

async fn sweep_disk(catalog: &Catalog, disk: &DiskStore, keeper: Keeper, now: SystemTime) -> Result<(), Failure> {
    for file in old(disk.list_uploads().await?, now) {
        if !catalog.keeps_upload_file(file.upload, file.epoch, keeper).await? {
            swept(&file, "upload", disk.remove_upload_file(file.upload, file.epoch).await);
        }
    }
    for tail in old(disk.list_tails().await?, now) {
        if tail.is_draft() || !catalog.keeps_tail(tail.upload, tail.tail).await? {
            swept(&tail, "tail", disk.remove_tail_file(&tail).await);
        }
    }
    for id in old(disk.list_jobs().await?, now) {
        if !catalog.knows_job(id).await? {
            swept(&id, "job", disk.output(id).remove().await);
        }
    }
    Ok(())
}

/// Says what became of a leftover. One that can't be removed keeps no other, and its turn comes with the next sweep.
fn swept(id: &(dyn Display + Sync), kind: &str, result: Result<(), BlobError>) {
    match result {
        Ok(()) => tracing::info!(%id, kind, "removed bytes that the catalog doesn't need"),
        Err(error) => tracing::warn!(%id, kind, %error, "bytes that the catalog doesn't need can't be removed"),
    }
}

/// What has not changed for long enough. A time in the future is no age.
fn old<I>(stored: Vec<Stored<I>>, now: SystemTime) -> impl Iterator<Item = I> {
    stored.into_iter().filter_map(move |entry| {
        let age = now.duration_since(entry.modified).unwrap_or_default();
        (age >= LEFTOVER_AGE_MIN).then_some(entry.id)
    })
}

#[cfg(test)]
mod bucket_tests;
#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reelway_catalog::TailSet;
    use reelway_domain::{FileEpoch, JobId, Offset, UploadId, WriterEpoch};

    use super::*;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn old_leftovers_go_and_all_else_stays() {
        let fixture = Fixture::new().await;
        let known = fixture.upload_with_job().await;
        let (lost_upload, lost_job) = (UploadId::new(), JobId::new());
        fixture.store.create_upload(lost_upload).await.unwrap();
        let key = "video/0.m4s".parse().unwrap();
        for job in [known.job.unwrap(), lost_job] {
            fixture
                .store
                .output(job)
                .write(&key, Bytes::from_static(b"x"))
                .await
                .unwrap();
        }
        let (lost_bytes, lost_output) = (
            fixture.store.upload_path(lost_upload, FileEpoch::FIRST),
            fixture.store.output(lost_job).path(&key),
        );

        sweep(&fixture.catalog, &fixture.bytes, Keeper::Uploads, SystemTime::now())
            .await
            .unwrap();
        assert!(lost_bytes.exists() && lost_output.exists(), "too young");
        let later = SystemTime::now() + LEFTOVER_AGE_MIN + Duration::from_secs(1);
        // Two servers at once, which find the same.
        let both = tokio::join!(
            sweep(&fixture.catalog, &fixture.bytes, Keeper::Uploads, later),
            sweep(&fixture.catalog, &fixture.bytes, Keeper::Uploads, later)
        );
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        assert!(!lost_bytes.exists() && !lost_output.exists());
        assert!(fixture.store.upload_path(known.id, known.file_epoch).exists());
        assert!(fixture.store.output(known.job.unwrap()).path(&key).exists());
    }

    #[tokio::test]
    async fn of_a_complete_upload_only_the_whole_file_stays() {
        let fixture = Fixture::new().await;
        let upload = fixture.complete_upload_with_job().await;
        let path = |epoch| fixture.store.upload_path(upload.id, FileEpoch(epoch));
        // As a writer leaves it that was taken over, or killed before it removed the files that it had brought together.
        fixture
            .store
            .open_writer(upload.id, WriterEpoch(9), FileEpoch(9))
            .await
            .unwrap();
        assert!(path(0).exists() && path(9).exists());
        let later = SystemTime::now() + LEFTOVER_AGE_MIN + Duration::from_secs(1);
        sweep(&fixture.catalog, &fixture.bytes, Keeper::Uploads, later)
            .await
            .unwrap();
        assert!(path(0).exists() && !path(9).exists());
    }

    #[tokio::test]
    async fn of_tails_only_those_stay_that_are_known() {
        let fixture = Fixture::new().await;
        let (catalog, store) = (&fixture.catalog, &fixture.store);
        let upload = fixture.upload_with_job().await;
        for tail in [5, 6] {
            let draft = store.begin_tail(upload.id, Offset(tail)).await.unwrap();
            draft.keep().await.unwrap();
        }
        let set = catalog.set_tail(&upload.tenant, upload.id, Offset(5)).await.unwrap();
        assert!(matches!(set, TailSet::Set(_)), "{set:?}");
        let _draft = store.begin_tail(upload.id, Offset(5)).await.unwrap();
        sweep(catalog, &fixture.bytes, Keeper::Uploads, SystemTime::now())
            .await
            .unwrap();
        assert_eq!(store.list_tails().await.unwrap().len(), 3, "too young");
        let later = SystemTime::now() + LEFTOVER_AGE_MIN + Duration::from_secs(1);
        sweep(catalog, &fixture.bytes, Keeper::Uploads, later).await.unwrap();
        let left = store.list_tails().await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(store.tail_path(upload.id, Offset(5)).exists());
        assert!(store.upload_path(upload.id, FileEpoch::FIRST).exists());
    }
}
