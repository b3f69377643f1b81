//! The expirer: ends uploads for which nothing came for too long, and parts that have served; frees the bytes of all that came to
//! nothing or are in another upload now.

use std::time::Duration;

use reelway_blob::Stores;
use reelway_catalog::Catalog;
use reelway_domain::{Failure, UploadId};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often uploads are looked at.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// Uploads that are handled in one look.
const BATCH_MAX: usize = 100;

/// Expires and frees until `shutdown`.
pub async fn run(catalog: Catalog, stores: impl Into<Stores>, shutdown: CancellationToken) {
    let stores = stores.into();
    let mut trouble = Trouble::new("upload expirer");
    let expirer = async {
        loop {
            let pause = trouble.pause(round(&catalog, &stores).await, EXPIRE_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(expirer).await;
}

async fn round(catalog: &Catalog, stores: &Stores) -> Result<(), Failure> {
    while expire(catalog).await? == BATCH_MAX {}
    while free(catalog, stores).await? == BATCH_MAX {}
    Ok(())
}

async fn expire(catalog: &Catalog) -> Result<usize, Failure> {
    let expired = catalog.expire_uploads(BATCH_MAX as i64).await?;
    metrics::counter!("reelway_uploads_expired_total").increment(expired as u64);
    Ok(expired)
}

/// Frees the bytes of ended uploads; gives how many uploads that were. One that can't be freed doesn't keep the others.
async fn free(catalog: &Catalog, stores: &Stores) -> Result<usize, Failure> {
    let ids = catalog.uploads_to_free(BATCH_MAX as i64).await?;
    let mut result = Ok(ids.len());
    for id in ids {
        if let Err(failure) = free_one(catalog, stores, id).await {
            result = Err(failure);
        }
    }
    result
}

async fn free_one(catalog: &Catalog, stores: &Stores, id: UploadId) -> Result<(), Failure> {
    // The bytes go first: a crash in between repeats this instead of leaving them.
    for store in std::iter::once(&stores.sources).chain(&stores.archive) {
        store.remove_upload(id).await?;
    }
    catalog.upload_freed_everywhere(id).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use reelway_domain::{FileEpoch, JobState, Reason, Tenant, UploadKind, UploadState};

    use super::*;
    use crate::testing::{Fixture, new_upload};

    #[tokio::test]
    async fn an_upload_that_expired_is_freed_and_its_job_fails() {
        let fixture = Fixture::new().await;
        let mut new = new_upload();
        new.expiry = Duration::ZERO;
        let upload = fixture.create(new).await;
        let kept = fixture.upload_with_job().await;
        // The clock of the database counts milliseconds: the upload has expired with the next one.
        while fixture.upload(upload.id).await.state == UploadState::Receiving {
            round(&fixture.catalog, &fixture.bytes.clone().into()).await.unwrap();
        }
        assert_eq!(fixture.upload(upload.id).await.state, UploadState::Expired);
        assert!(!fixture.store.upload_path(upload.id, FileEpoch::FIRST).exists());
        assert!(fixture.store.upload_path(kept.id, FileEpoch::FIRST).exists());
        assert!(fixture.catalog.uploads_to_free(1).await.unwrap().is_empty());
        let job = fixture.catalog.job(&Tenant::single(), upload.job.unwrap()).await;
        let job = job.unwrap().unwrap();
        assert_eq!(
            (job.state, job.error.unwrap().reason),
            (JobState::Failed, Reason::UploadExpired)
        );
    }

    #[tokio::test]
    async fn a_complete_part_is_freed_and_a_complete_file_is_not() {
        let fixture = Fixture::new().await;
        let with = |kind| {
            let mut new = new_upload();
            (new.kind, new.job, new.expiry) = (kind, None, Duration::ZERO);
            new
        };
        let part = fixture.complete(with(UploadKind::Partial)).await;
        let whole = fixture.complete(with(UploadKind::Whole)).await;
        let is_there = |id| fixture.store.upload_path(id, FileEpoch::FIRST).exists();
        while is_there(part.id) {
            round(&fixture.catalog, &fixture.bytes.clone().into()).await.unwrap();
        }
        assert_eq!(fixture.upload(part.id).await.state, UploadState::Expired);
        assert!(is_there(whole.id));
        assert_eq!(fixture.upload(whole.id).await, whole);
    }

    #[tokio::test]
    async fn an_aborted_upload_is_freed() {
        let fixture = Fixture::new().await;
        let upload = fixture.upload_with_job().await;
        fixture
            .catalog
            .abort_upload(&Tenant::single(), upload.id)
            .await
            .unwrap();
        assert!(fixture.store.upload_path(upload.id, FileEpoch::FIRST).exists());
        round(&fixture.catalog, &fixture.bytes.clone().into()).await.unwrap();
        assert!(!fixture.store.upload_path(upload.id, FileEpoch::FIRST).exists());
        round(&fixture.catalog, &fixture.bytes.clone().into()).await.unwrap();
    }

    #[tokio::test]
    async fn an_upload_that_cannot_be_freed_is_tried_again_and_keeps_nobody() {
        let fixture = Fixture::new().await;
        let stuck = fixture.upload_with_job().await;
        let shard_of = |id| {
            fixture
                .store
                .upload_path(id, FileEpoch::FIRST)
                .parent()
                .unwrap()
                .to_owned()
        };
        let other = loop {
            let other = fixture.upload_with_job().await;
            if shard_of(other.id) != shard_of(stuck.id) {
                break other;
            }
        };
        for upload in [&stuck, &other] {
            fixture
                .catalog
                .abort_upload(&Tenant::single(), upload.id)
                .await
                .unwrap();
        }
        // A file in the place of the directory: removing fails with ENOTDIR.
        let (path, shard) = (
            fixture.store.upload_path(stuck.id, FileEpoch::FIRST),
            shard_of(stuck.id),
        );
        let away = shard.with_extension("away");
        std::fs::rename(&shard, &away).unwrap();
        std::fs::write(&shard, "").unwrap();
        assert!(round(&fixture.catalog, &fixture.bytes.clone().into()).await.is_err());
        assert!(
            !fixture.store.upload_path(other.id, FileEpoch::FIRST).exists(),
            "the second was freed all the same"
        );
        std::fs::remove_file(&shard).unwrap();
        std::fs::rename(&away, &shard).unwrap();
        round(&fixture.catalog, &fixture.bytes.clone().into()).await.unwrap();
        assert!(!path.exists());
    }
}
