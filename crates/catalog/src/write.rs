//! Writing an upload: each writer takes the next epoch, and each commit names its own (invariants 1 to 3).

use std::time::Duration;

use reelway_domain::{
    Change, Hint, Offset, StagedChange, Tenant, UploadId, UploadKind, UploadState, WriterEpoch, WriterId,
};

use crate::{
    Catalog, Error, Upload,
    quota::held,
    sql::{Sql, change_one},
    upload::millis,
    webhook::Told,
};

/// What came of opening an upload for writing.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// The caller is the writer now; the upload's `writer_epoch` is its own, and it writes the file `file_epoch`. That is a
    /// new one exactly if both are the same.
    Writer(Upload),
    /// Nothing can be written: the upload has ended, or is put together from others.
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
    "UPDATE uploads SET writer_epoch = writer_epoch + 1, writer = $3, {skip_parts}, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state = 'receiving' AND kind <> 'joined' AND (writer IS NULL OR writer = $3)
     RETURNING {upload}",
);
macro_rules! commit {
    ($also:literal) => {
        concat!(
            "UPDATE uploads SET durable_offset = $3, updated_at_ms = {now}, expires_at_ms = {now} + $4
             WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' AND durable_offset <= $3",
            $also,
            " RETURNING {upload}, quota_bytes, wake_at_offset"
        )
    };
}
/// Within what is reserved.
static COMMIT: Sql = Sql::new(commit!(
    " AND (size_bytes IS NOT NULL OR quota_bytes >= $3 OR kind = 'joined')"
));
/// Also beyond it: for a change that reserves the rest.
pub(crate) static COMMIT_BEYOND: Sql = Sql::new(commit!(""));
static DECLARE_SIZE: Sql = Sql::new(
    "UPDATE uploads SET size_bytes = $3, updated_at_ms = {now}
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' AND durable_offset <= $3
       AND (size_bytes IS NULL OR size_bytes = $3) RETURNING {upload}",
);
static COMPLETE: Sql = Sql::new(
    "UPDATE uploads SET state = 'complete', size_bytes = $3, durable_offset = $3, updated_at_ms = {now},
                        completed_at_ms = {now}, source_key = CAST($4 AS TEXT), multipart_id = NULL
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' AND durable_offset <= $3
       AND (size_bytes IS NULL OR size_bytes = $3) RETURNING {upload}, quota_bytes",
);

impl Catalog {
    /// Makes the caller the only writer of an upload. Whoever wrote before can't commit any more. If that was another
    /// process, which may still have a write under way, the caller gets a file of its own.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn open_writer(&self, tenant: &Tenant, id: UploadId, writer: WriterId) -> Result<Opened, Error> {
        let open = sqlx::query(OPEN.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .bind(writer.to_string());
        if let Some(row) = change_one(open, &self.write).await? {
            return Ok(Opened::Writer(Upload::try_from(&row)?));
        }
        match self.take_over(tenant, id, writer).await? {
            Some(upload) => Ok(Opened::Writer(upload)),
            None => Ok(self.upload(tenant, id).await?.map_or(Opened::Unknown, Opened::Ended)),
        }
    }

    /// Records that every byte below `offset` is on stable storage. Call it only after the store has said so.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the offset may be recorded or not then. [`Error::Quota`] if the length isn't
    /// known and the tenant may not have so much.
    pub async fn commit_offset(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        offset: Offset,
        expiry: Duration,
    ) -> Result<Commit, Error> {
        let commit = sqlx::query(COMMIT.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(offset.0)
            .bind(millis(expiry));
        let committed = change_one(commit, &self.write).await?;
        match committed {
            Some(row) => {
                self.wake_for_bytes(&row).await;
                Ok(Commit::Done(Upload::try_from(&row)?))
            }
            None => {
                self.commit_reserving(id, epoch, offset, expiry, &StagedChange::default())
                    .await
            }
        }
    }

    /// Records the length of an upload that was created without one. The writer knows that none is recorded, or the same, and
    /// that no more is durable.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the length may be recorded or not then. [`Error::Quota`] if the tenant may not
    /// have so much.
    pub async fn declare_size(&self, id: UploadId, epoch: WriterEpoch, size: i64) -> Result<Commit, Error> {
        let mut tx = self.begin().await?;
        let declared = sqlx::query(DECLARE_SIZE.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(size)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = declared else {
            return Ok(Commit::Superseded);
        };
        let upload = Upload::try_from(&row)?;
        self.reserve(&mut tx, &upload, size).await?;
        self.commit(tx).await?;
        Ok(Commit::Done(upload))
    }

    /// Completes an upload whose `size` bytes are all on stable storage, in the writer's file, and verified; tells its jobs.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the upload may be complete or not then. [`Error::Quota`] if the length wasn't
    /// known and the tenant may not have so much.
    pub async fn complete_upload(&self, id: UploadId, epoch: WriterEpoch, size: i64) -> Result<Commit, Error> {
        self.complete_upload_in(id, epoch, size, None).await
    }

    /// As [`Self::complete_upload`], where the bytes are the object with this key.
    ///
    /// # Errors
    /// Those of [`Self::complete_upload`].
    pub async fn complete_upload_in(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        size: i64,
        source_key: Option<&str>,
    ) -> Result<Commit, Error> {
        let mut tx = self.begin().await?;
        let completed = sqlx::query(COMPLETE.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(size)
            .bind(source_key)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = completed else {
            return Ok(Commit::Superseded);
        };
        let upload = Upload::try_from(&row)?;
        self.store_reserved(&mut tx, &upload, held(&row)?, size).await?;
        self.forget_files(&mut tx, &upload).await?;
        if source_key.is_some() {
            self.forget_staged(&mut tx, id).await?;
        }
        let change = Change::UploadState {
            state: UploadState::Complete,
            error: None,
        };
        if upload.kind != UploadKind::Partial {
            self.leave_webhook(&mut tx, Told::UploadCompleted(id)).await?;
        }
        let jobs = self.lock_living_jobs_of(&mut tx, id).await?;
        let changes: Vec<_> = jobs.iter().map(|job| (*job, &change)).collect();
        self.append_all(&mut tx, &changes).await?;
        tx.leave(Hint::Upload { upload: id });
        self.wake_for_jobs(&mut tx, &jobs).await?;
        self.commit(tx).await?;
        Ok(Commit::Done(upload))
    }
}
