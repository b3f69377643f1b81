//! What is to become of sources: jobs that succeed say it, and it is done once no job of the upload lives.
//!
//! Whoever creates a job or starts one again has the upload locked, and so has whoever decides that its source goes. So either
//! the job is seen, and the source stays for it, or the job finds that it is gone.

use reelway_domain::{Hint, JobId, SourceAction, UploadId, UploadState};

use crate::{Catalog, Error, Upload, sql::Sql, tx::Tx};

/// No job of the upload needs its source now.
macro_rules! is_free {
    () => {
        "NOT EXISTS (SELECT 1 FROM jobs WHERE upload_id = uploads.id AND state IN ('queued', 'running'))"
    };
}
pub(crate) use is_free;

// Moving comes before removing: nothing is lost if both are wanted. What is moved already can still be removed.
static WISH: Sql = Sql::new(
    "UPDATE uploads SET source_wish = CASE WHEN source_wish = 'archive' THEN source_wish
                                           ELSE (SELECT source_action FROM jobs WHERE id = $1) END
     WHERE id = (SELECT upload_id FROM jobs WHERE id = $1 AND source_action IS NOT NULL) AND state = 'complete'
       AND (source_state IS NULL
            OR (source_state = 'archived' AND (SELECT source_action FROM jobs WHERE id = $1) = 'delete'))",
);
static WISHED: Sql = Sql::new(concat!(
    "SELECT id FROM uploads WHERE source_wish = $1 AND state = 'complete'
       AND (source_lease_ms IS NULL OR source_lease_ms < {now}) AND ",
    is_free!(),
    " ORDER BY id LIMIT $2"
));
static LOCK: Sql = Sql::new("SELECT id FROM uploads WHERE id = $1 {for_update}");
static REMOVE: Sql = Sql::new(concat!(
    "UPDATE uploads SET source_state = 'removed', source_wish = NULL, source_left = 1, updated_at_ms = {now}
     WHERE id = $1 AND source_wish = 'delete' AND state = 'complete' AND ",
    is_free!(),
    " RETURNING {upload}"
));

impl Catalog {
    /// Notes what a job that is about to succeed wants of its source. Takes the upload's lock, if it wants something.
    pub(crate) async fn wish_for_source(&self, tx: &mut Tx, job: JobId) -> Result<(), Error> {
        sqlx::query(WISH.on(self.dialect))
            .bind(job.to_string())
            .execute(&mut ***tx)
            .await?;
        Ok(())
    }

    /// Uploads whose source is to be removed, or to be moved, and which no job needs at the moment, at most `count_max`. Those that
    /// somebody is moving are left out.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn sources_wished(&self, action: SourceAction, count_max: i64) -> Result<Vec<UploadId>, Error> {
        let ids: Vec<(String,)> = sqlx::query_as(WISHED.on(self.dialect))
            .bind(action.as_str())
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        ids.into_iter().map(|(id,)| Ok(id.parse()?)).collect()
    }

    /// Decides that a source is gone, if that is still wanted and no job needs it: from now on no job is created for it. Its bytes are
    /// to be removed afterwards ([`Self::sources_left`]), and count in the tenant's quota no longer. Gives whether it is so.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn remove_source(&self, id: UploadId) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        self.lock_source(&mut tx, id).await?;
        let removed = sqlx::query(REMOVE.on(self.dialect))
            .bind(id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = removed else { return Ok(false) };
        let upload = Upload::try_from(&row)?;
        self.give_back(&mut tx, &upload, UploadState::Complete).await?;
        tx.leave(Hint::Upload { upload: id });
        self.commit(tx).await?;
        Ok(true)
    }

    /// Keeps jobs from being created for an upload until the transaction ends. The next statement sees all that were.
    pub(crate) async fn lock_source(&self, tx: &mut Tx, id: UploadId) -> Result<(), Error> {
        sqlx::query(LOCK.on(self.dialect))
            .bind(id.to_string())
            .fetch_optional(&mut ***tx)
            .await?;
        Ok(())
    }
}
