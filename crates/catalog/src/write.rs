//! Writing an upload: each writer takes the next epoch, and each commit names its own (invariants 1 to 3).

use std::time::Duration;

use reelway_domain::{Change, Hint, Offset, Tenant, UploadId, UploadState, WriterEpoch};

use crate::{Catalog, Error, Upload, sql::Sql, upload::millis};

/// What came of opening an upload for writing.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// The caller is the writer now; the upload's `writer_epoch` is its own.
    Writer(Upload),
    /// The upload has ended: nothing can be written.
    Ended(Upload),
    /// The tenant has no such upload.
    Unknown,
}

/// What came of committing an offset or a completion.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit {
    /// It is durable. The upload is as it is now.
    Done(Upload),
    /// A later writer has taken over, or the upload has ended: nothing was changed.
    Superseded,
}

static OPEN: Sql = Sql::new(
    "UPDATE uploads SET writer_epoch = writer_epoch + 1, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state = 'receiving' RETURNING *",
);
static COMMIT: Sql = Sql::new(
    "UPDATE uploads SET durable_offset = $3, updated_at_ms = {now}, expires_at_ms = {now} + $4
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' AND durable_offset <= $3 RETURNING *",
);
static COMPLETE: Sql = Sql::new(
    "UPDATE uploads SET state = 'complete', size_bytes = $3, durable_offset = $3, updated_at_ms = {now},
                        completed_at_ms = {now}
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' AND durable_offset <= $3
       AND (size_bytes IS NULL OR size_bytes = $3) RETURNING *",
);

impl Catalog {
    /// Makes the caller the only writer of an upload. Whoever wrote before can't commit any more.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn open_writer(&self, tenant: &Tenant, id: UploadId) -> Result<Opened, Error> {
        let opened = sqlx::query(OPEN.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(&self.write)
            .await?;
        match opened {
            Some(row) => Ok(Opened::Writer(Upload::try_from(&row)?)),
            None => Ok(self.upload(tenant, id).await?.map_or(Opened::Unknown, Opened::Ended)),
        }
    }

    /// Records that every byte below `offset` is on stable storage. Call it only after the store has said so.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the offset may be recorded or not then.
    pub async fn commit_offset(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        offset: Offset,
        expiry: Duration,
    ) -> Result<Commit, Error> {
        let committed = sqlx::query(COMMIT.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(offset.0)
            .bind(millis(expiry))
            .fetch_optional(&self.write)
            .await?;
        committed.map_or(Ok(Commit::Superseded), |row| Ok(Commit::Done(Upload::try_from(&row)?)))
    }

    /// Completes an upload whose `size` bytes are all on stable storage and verified, and tells its jobs.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the upload may be complete or not then.
    pub async fn complete_upload(&self, id: UploadId, epoch: WriterEpoch, size: i64) -> Result<Commit, Error> {
        let mut tx = self.write.begin().await?;
        let completed = sqlx::query(COMPLETE.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(size)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = completed else {
            return Ok(Commit::Superseded);
        };
        let upload = Upload::try_from(&row)?;
        let change = Change::UploadState {
            state: UploadState::Complete,
            error: None,
        };
        for job in self.lock_living_jobs_of(&mut tx, id).await? {
            self.append_events(&mut tx, job, std::slice::from_ref(&change)).await?;
        }
        self.leave_hint(&mut tx, &Hint::Upload { upload: id }).await?;
        self.leave_hint(&mut tx, &Hint::Tasks).await?;
        self.commit(tx).await?;
        Ok(Commit::Done(upload))
    }
}
