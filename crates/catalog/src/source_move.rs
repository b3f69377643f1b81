//! Moving a source to the archive store: one at a time has it for itself, and writes a file or an object of its own, so that a mover
//! that was paused can't write into what another one has finished.

use std::time::Duration;

use reelway_domain::{FileEpoch, Hint, UploadId};

use crate::{
    Catalog, Error, Upload,
    row::Columns,
    source_wish::is_free,
    sql::{Sql, change_one},
    upload::millis,
};

/// A source that its holder may move.
#[derive(Debug, Clone, PartialEq)]
pub struct Moving {
    /// The upload, as it is where it comes from.
    pub upload: Upload,
    /// How often somebody began to move it. It is also the number of the file or object that is written.
    pub epoch: i64,
}

static CLAIM: Sql = Sql::new(concat!(
    "UPDATE uploads SET source_epoch = source_epoch + 1, source_lease_ms = {now} + $2
     WHERE id = $1 AND state = 'complete' AND source_wish = 'archive' AND source_state IS NULL
       AND (source_lease_ms IS NULL OR source_lease_ms < {now}) AND ",
    is_free!(),
    " RETURNING {upload}, source_epoch"
));
static RENEW: Sql = Sql::new(
    "UPDATE uploads SET source_lease_ms = {now} + $3
     WHERE id = $1 AND source_epoch = $2 AND state = 'complete' AND source_state IS NULL AND source_wish = 'archive'",
);
static MOVED: Sql = Sql::new(concat!(
    "UPDATE uploads SET source_state = 'archived', source_wish = NULL, source_left = 1, source_lease_ms = NULL,
                        file_epoch = source_epoch, source_key = CAST($3 AS TEXT), updated_at_ms = {now}
     WHERE id = $1 AND source_epoch = $2 AND state = 'complete' AND source_state IS NULL AND source_wish = 'archive' AND ",
    is_free!()
));
static LET_GO: Sql = Sql::new("UPDATE uploads SET source_lease_ms = NULL WHERE id = $1 AND source_epoch = $2");

impl Moving {
    /// The number of the file that is written, if the archive store is on a disk.
    #[must_use]
    pub fn file(&self) -> FileEpoch {
        FileEpoch(self.epoch)
    }
}

impl Catalog {
    /// Takes a source to move it, for as long as `lease`; `None` if that isn't wanted any more, a job needs it, or somebody else has
    /// it.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: the source may be taken or not then.
    pub async fn claim_source(&self, id: UploadId, lease: Duration) -> Result<Option<Moving>, Error> {
        let claim = sqlx::query(CLAIM.on(self.dialect))
            .bind(id.to_string())
            .bind(millis(lease));
        let Some(row) = change_one(claim, &self.write).await? else {
            return Ok(None);
        };
        Ok(Some(Moving {
            upload: Upload::try_from(&row)?,
            epoch: Columns(&row).int("source_epoch")?,
        }))
    }

    /// Keeps a source for as long as `lease` again. `false`: it isn't the caller's any more.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn keep_source(&self, moving: &Moving, lease: Duration) -> Result<bool, Error> {
        let kept = sqlx::query(RENEW.on(self.dialect))
            .bind(moving.upload.id.to_string())
            .bind(moving.epoch)
            .bind(millis(lease))
            .execute(&self.write)
            .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// Records that a source is in the archive store, as the file or the object with this `key` that the caller has made whole and
    /// verified there. From now on it is read there; what is at its old place is to be removed ([`Self::sources_left`]). `false`: the
    /// source isn't the caller's any more, or a job needs it where it is; nothing was changed.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn source_moved(&self, moving: &Moving, key: Option<&str>) -> Result<bool, Error> {
        let id = moving.upload.id;
        let mut tx = self.begin().await?;
        self.lock_source(&mut tx, id).await?;
        let moved = sqlx::query(MOVED.on(self.dialect))
            .bind(id.to_string())
            .bind(moving.epoch)
            .bind(key)
            .execute(&mut **tx)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        tx.leave(Hint::Upload { upload: id });
        self.commit(tx).await?;
        Ok(true)
    }

    /// Gives a source back that was not moved: whoever comes next may take it. Call it only if nothing of the caller writes any more.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: then it is free when its lease has run out.
    pub async fn let_go_source(&self, moving: &Moving) -> Result<(), Error> {
        sqlx::query(LET_GO.on(self.dialect))
            .bind(moving.upload.id.to_string())
            .bind(moving.epoch)
            .execute(&self.write)
            .await?;
        Ok(())
    }
}
