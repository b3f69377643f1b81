//! The quota of uploads whose length isn't known while they are written.
//!
//! Nothing can be reserved for them at the beginning. So a commit asks, by a condition that costs nothing, whether what is
//! reserved reaches as far; where it doesn't, one transaction reserves the next stretch and commits. A tenant's bytes never
//! become durable beyond its quota, and what is not durable is not told to the client.

use std::time::Duration;

use reelway_domain::{Offset, StagedChange, UploadId, WriterEpoch};

use crate::{Catalog, Commit, Error, QuotaError, Upload, quota::held, upload::millis, write::COMMIT_BEYOND};

/// So much is reserved ahead of what is durable, so that few commits have to reserve. It is free again at the end.
const AHEAD_BYTES: i64 = 64 << 20;

impl Catalog {
    /// Commits an offset that is beyond what is reserved, if the quota allows: with a stretch ahead of it, or without one.
    pub(crate) async fn commit_reserving(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        offset: Offset,
        expiry: Duration,
        change: &StagedChange,
    ) -> Result<Commit, Error> {
        match self.try_reserving(id, epoch, offset, expiry, change, AHEAD_BYTES).await {
            Err(Error::Quota(QuotaError::Bytes { .. })) => {
                self.try_reserving(id, epoch, offset, expiry, change, 0).await
            }
            other => other,
        }
    }

    async fn try_reserving(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        offset: Offset,
        expiry: Duration,
        change: &StagedChange,
        ahead_bytes: i64,
    ) -> Result<Commit, Error> {
        let mut tx = self.begin().await?;
        let committed = sqlx::query(COMMIT_BEYOND.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(offset.0)
            .bind(millis(expiry))
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = committed else {
            return Ok(Commit::Superseded);
        };
        let upload = Upload::try_from(&row)?;
        if upload.size.is_none() && held(&row)? < offset.0 {
            let wanted = offset.0.saturating_add(ahead_bytes);
            self.reserve(&mut tx, &upload, wanted).await?;
        }
        self.record_staged(&mut tx, id, change).await?;
        self.commit(tx).await?;
        self.wake_for_bytes(&row).await;
        Ok(Commit::Done(upload))
    }
}
