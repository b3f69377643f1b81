//! The tail of an upload that was sent ahead of time: what early tasks can see of the file's end.

use reelway_domain::{Offset, Tenant, UploadId, UploadState};

use crate::{Catalog, Error, Upload, sql::Sql};

/// What came of saying where the tail begins.
#[derive(Debug, Clone, PartialEq)]
pub enum TailSet {
    /// It is said, now or before.
    Set(Upload),
    /// The upload doesn't receive, its length isn't known or less, it is no whole file, or it has another tail: nothing was
    /// changed.
    Refused(Upload),
    /// The tenant has no such upload.
    Unknown,
}

static SET: Sql = Sql::new(
    "UPDATE uploads SET tail_offset = $3, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state = 'receiving' AND kind = 'whole' AND size_bytes >= $3
       AND (tail_offset IS NULL OR tail_offset = $3) RETURNING {upload}",
);
static DROP: Sql = Sql::new(
    "UPDATE uploads SET tail_offset = NULL, updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state IN ('receiving', 'complete') AND tail_offset IS NOT NULL RETURNING {upload}",
);
static KEEPS: Sql = Sql::new("SELECT COUNT(*) FROM uploads WHERE id = $1 AND state = 'receiving' AND tail_offset = $2");
static TRY_AGAIN: Sql = Sql::new(
    "UPDATE tasks SET ready_at_offset = 0, updated_at_ms = {now}
     WHERE job_id = $1 AND kind IN ('probe', 'plan') AND state = 'queued' AND ready_at_offset IS NULL",
);

impl Catalog {
    /// Records that the bytes from `tail` to the end of a file are there as a preview. What could not be found out without
    /// them is tried again at once. Saying the same again changes nothing. Until the upload ends, its tenant's account has the tail
    /// beside the file: both are on the disk.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then. [`Error::Quota`] if the tenant may not have so
    /// much.
    pub async fn set_tail(&self, tenant: &Tenant, id: UploadId, tail: Offset) -> Result<TailSet, Error> {
        let mut tx = self.begin().await?;
        let set = sqlx::query(SET.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .bind(tail.0)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = set else {
            drop(tx);
            return Ok(self
                .upload(tenant, id)
                .await?
                .map_or(TailSet::Unknown, TailSet::Refused));
        };
        let upload = Upload::try_from(&row)?;
        // Only a known length lets it be set.
        if let Some(size) = upload.size {
            self.reserve(&mut tx, &upload, size.saturating_add(size - tail.0))
                .await?;
        }
        let jobs = self.living_jobs_of(&mut tx, id).await?;
        for job in &jobs {
            self.lock_tasks(&mut tx, *job).await?;
        }
        for job in &jobs {
            sqlx::query(TRY_AGAIN.on(self.dialect))
                .bind(job.to_string())
                .execute(&mut **tx)
                .await?;
        }
        let jobs = self.lock_living_jobs_of(&mut tx, id).await?;
        self.wake_for_jobs(&mut tx, &jobs).await?;
        self.commit(tx).await?;
        Ok(TailSet::Set(upload))
    }

    /// Forgets the tail of an upload, because it isn't what the file ends with. Gives whether it had one.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn drop_tail(&self, tenant: &Tenant, id: UploadId) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let dropped = sqlx::query(DROP.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = dropped else { return Ok(false) };
        let upload = Upload::try_from(&row)?;
        // A complete one holds its length already.
        if let (UploadState::Receiving, Some(size)) = (upload.state, upload.size) {
            self.reserve(&mut tx, &upload, size).await?;
        }
        self.commit(tx).await?;
        Ok(true)
    }

    /// Whether the store is to keep the tail of this upload that begins at `tail`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn keeps_tail(&self, id: UploadId, tail: Offset) -> Result<bool, Error> {
        let (count,): (i64,) = sqlx::query_as(KEEPS.on(self.dialect))
            .bind(id.to_string())
            .bind(tail.0)
            .fetch_one(&self.read)
            .await?;
        Ok(count > 0)
    }
}
