//! The other ends of an upload: it failed, was aborted, or expired. Its jobs end with it.

use reelway_domain::{Change, Failure, Hint, JobState, Reason, Tenant, UploadId, UploadState, WriterEpoch};

use crate::{Catalog, Commit, Error, Upload, sql::Sql, tx::Tx};

/// What came of asking for an upload's end.
#[derive(Debug, Clone, PartialEq)]
pub enum UploadEnd {
    /// It has ended now.
    Ended(Upload),
    /// It had ended before, as it says.
    Before(Upload),
    /// The tenant has no such upload.
    Unknown,
}

/// An upload that bytes can come to, other than one that waits for its parts' bytes: it ends with them.
macro_rules! gets_nothing {
    () => {
        "(state = 'receiving' AND (kind <> 'joined' OR NOT EXISTS (
            SELECT 1 FROM upload_joins j JOIN uploads part ON part.id = j.part_id
            WHERE j.upload_id = uploads.id AND part.state = 'receiving')))"
    };
}

/// A complete part that nobody needs at the moment.
macro_rules! part_has_served {
    () => {
        "(state = 'complete' AND kind = 'partial' AND NOT EXISTS (
            SELECT 1 FROM upload_joins j JOIN uploads joined ON joined.id = j.upload_id
            WHERE j.part_id = uploads.id AND joined.state = 'receiving'))"
    };
}

static FAIL: Sql = Sql::new(
    "UPDATE uploads SET state = 'failed', error = $3, updated_at_ms = {now}
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' RETURNING {upload}",
);
// The epoch moves, so that a stream that is open ends at its next commit.
static ABORT: Sql = Sql::new(
    "UPDATE uploads SET state = 'aborted', writer_epoch = writer_epoch + 1, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state = 'receiving' RETURNING {upload}",
);
static ABORT_PART: Sql = Sql::new(concat!(
    "UPDATE uploads SET state = 'aborted', completed_at_ms = NULL, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND ",
    part_has_served!(),
    " RETURNING {upload}"
));
static ABORT_COMPLETE: Sql = Sql::new(concat!(
    "UPDATE uploads SET state = 'aborted', completed_at_ms = NULL, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND (state = 'complete' AND kind <> 'partial' OR ",
    part_has_served!(),
    ") RETURNING {upload}"
));
static EXPIRED: Sql = Sql::new(concat!(
    "SELECT id, state FROM uploads WHERE expires_at_ms < {now} AND ",
    gets_nothing!(),
    " UNION ALL SELECT id, state FROM uploads WHERE expires_at_ms < {now} AND ",
    part_has_served!(),
    " ORDER BY id LIMIT $1"
));
static EXPIRE: Sql = Sql::new(concat!(
    "UPDATE uploads SET state = 'expired', completed_at_ms = NULL, writer_epoch = writer_epoch + 1, updated_at_ms = {now}
     WHERE id = $1 AND state = $2 AND expires_at_ms < {now} AND (",
    gets_nothing!(),
    " OR ",
    part_has_served!(),
    ") RETURNING {upload}"
));
// Whoever began to move a source may still write into the archive store.
static TO_FREE: Sql = Sql::new(
    "SELECT id FROM uploads WHERE freed = 0 AND state IN ('failed', 'aborted', 'expired')
       AND (source_lease_ms IS NULL OR source_lease_ms < {now}) ORDER BY id LIMIT $1",
);
static FREED: Sql = Sql::new(
    "UPDATE uploads SET freed = 1 WHERE id = $1 AND freed = 0 AND state IN ('failed', 'aborted', 'expired')
       AND source_epoch = 0",
);
static FREED_EVERYWHERE: Sql =
    Sql::new("UPDATE uploads SET freed = 1 WHERE id = $1 AND freed = 0 AND state IN ('failed', 'aborted', 'expired')");

impl Catalog {
    /// Ends an upload whose bytes are not what the client promised.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn fail_upload(&self, id: UploadId, epoch: WriterEpoch, failure: &Failure) -> Result<Commit, Error> {
        let mut tx = self.begin().await?;
        let failed = sqlx::query(FAIL.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(serde_json::to_string(failure)?)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = failed else {
            return Ok(Commit::Superseded);
        };
        let upload = Upload::try_from(&row)?;
        self.give_back(&mut tx, &upload, UploadState::Receiving).await?;
        self.end_jobs_of(&mut tx, &upload, JobState::Failed, Some(failure))
            .await?;
        self.commit(tx).await?;
        Ok(Commit::Done(upload))
    }

    /// Gives an upload up for its client. Its jobs are cancelled. A complete one can't be given up, unless it is a part that
    /// nothing is put together from at the moment.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn abort_upload(&self, tenant: &Tenant, id: UploadId) -> Result<UploadEnd, Error> {
        self.give_up(tenant, id, &ABORT_PART).await
    }

    /// As [`Self::abort_upload`], also if the upload is complete, whatever it is; only a part that something is put together from
    /// at the moment can't be given up. What its jobs have made stays.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn abort_upload_also_complete(&self, tenant: &Tenant, id: UploadId) -> Result<UploadEnd, Error> {
        self.give_up(tenant, id, &ABORT_COMPLETE).await
    }

    async fn give_up(&self, tenant: &Tenant, id: UploadId, complete: &Sql) -> Result<UploadEnd, Error> {
        let mut tx = self.begin().await?;
        let mut aborted = None;
        for (abort, was) in [(&ABORT, UploadState::Receiving), (complete, UploadState::Complete)] {
            if aborted.is_none() {
                let row = sqlx::query(abort.on(self.dialect))
                    .bind(tenant.as_str())
                    .bind(id.to_string())
                    .fetch_optional(&mut **tx)
                    .await?;
                aborted = row.map(|row| (row, was));
            }
        }
        let Some((row, was)) = aborted else {
            drop(tx);
            return Ok(self
                .upload(tenant, id)
                .await?
                .map_or(UploadEnd::Unknown, UploadEnd::Before));
        };
        let upload = Upload::try_from(&row)?;
        self.give_back(&mut tx, &upload, was).await?;
        self.end_jobs_of(&mut tx, &upload, JobState::Cancelled, None).await?;
        self.commit(tx).await?;
        Ok(UploadEnd::Ended(upload))
    }

    /// Ends uploads for which nothing came for too long, and complete parts that nobody needs any more, at most `count_max`. Gives
    /// how many ended.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn expire_uploads(&self, count_max: i64) -> Result<usize, Error> {
        let old: Vec<(String, String)> = sqlx::query_as(EXPIRED.on(self.dialect))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        let mut expired = 0;
        for (id, state) in old {
            let mut tx = self.begin().await?;
            // Restates the whole condition: a byte may have come since, or another server was faster.
            let row = sqlx::query(EXPIRE.on(self.dialect))
                .bind(&id)
                .bind(&state)
                .fetch_optional(&mut **tx)
                .await?;
            let Some(row) = row else { continue };
            let failure = Failure::new(
                Reason::UploadExpired,
                "no byte came for too long; upload the file again",
            )
            .with("uploadId", &id);
            let upload = Upload::try_from(&row)?;
            self.give_back(&mut tx, &upload, state.parse()?).await?;
            self.end_jobs_of(&mut tx, &upload, JobState::Failed, Some(&failure))
                .await?;
            self.commit(tx).await?;
            expired += 1;
        }
        Ok(expired)
    }

    /// Uploads that came to nothing and whose bytes are still in the store, at most `count_max`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn uploads_to_free(&self, count_max: i64) -> Result<Vec<UploadId>, Error> {
        let ids: Vec<(String,)> = sqlx::query_as(TO_FREE.on(self.dialect))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        ids.into_iter().map(|(id,)| Ok(id.parse()?)).collect()
    }

    /// Records that the bytes of an upload that came to nothing are gone from where it was uploaded to. One that may have bytes in the
    /// archive store is not freed by that.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn upload_freed(&self, id: UploadId) -> Result<(), Error> {
        self.freed(&FREED, id).await
    }

    /// Records that the bytes of an upload that came to nothing are gone from everywhere.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn upload_freed_everywhere(&self, id: UploadId) -> Result<(), Error> {
        self.freed(&FREED_EVERYWHERE, id).await
    }

    async fn freed(&self, sql: &'static Sql, id: UploadId) -> Result<(), Error> {
        sqlx::query(sql.on(self.dialect))
            .bind(id.to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    async fn end_jobs_of(
        &self,
        tx: &mut Tx,
        upload: &Upload,
        state: JobState,
        failure: Option<&Failure>,
    ) -> Result<(), Error> {
        let change = Change::UploadState {
            state: upload.state,
            error: upload.error.clone(),
        };
        debug_assert!(matches!(
            upload.state,
            UploadState::Failed | UploadState::Aborted | UploadState::Expired
        ));
        let jobs = self.living_jobs_of(tx, upload.id).await?;
        self.end_jobs(tx, &jobs, state, failure, std::slice::from_ref(&change))
            .await?;
        tx.leave(Hint::Upload { upload: upload.id });
        Ok(())
    }
}
