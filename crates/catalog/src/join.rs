//! Uploads that are put together from others: from which, and who does it.
//!
//! A server that puts one together is its writer like any other, with an epoch and a file. Nobody is connected to it, so whether
//! it lives is known by the row: it renews it ([`Catalog::keep_joining`]), and when it hasn't for a while another one takes over.

use std::{collections::HashMap, time::Duration};

use reelway_domain::{FileEpoch, UploadId, UploadState, WriterEpoch, WriterId, limits};
use serde::Serialize;
use sqlx::Row as _;

use crate::{
    Catalog, Error, NewUpload, Upload,
    quota::held,
    row::Columns,
    sql::{Sql, list},
    tx::Tx,
    upload::millis,
};

/// What a new upload is put together from, as its parts are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Their length in bytes, if all of them have one.
    pub(crate) size: Option<i64>,
    /// How many bytes more the upload will have than its parts hold, as far as that is known: those of a part that it has several
    /// times, or that an earlier upload took over.
    pub(crate) beyond_bytes: i64,
}

/// One part of a joined upload, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinPart {
    /// The partial upload.
    pub id: UploadId,
    /// Where it stands.
    pub state: UploadState,
    /// Its length in bytes, once it is known.
    pub size: Option<i64>,
    /// Which of its files holds all of it, once it is complete.
    pub file_epoch: FileEpoch,
    /// The object that holds all of it, once it is complete in a bucket.
    pub source_key: Option<String>,
}

// In the order of their ids, so that two that take the same parts don't wait for each other.
static LOCK_PARTS: Sql = Sql::new(
    "SELECT id, size_bytes, quota_bytes FROM uploads
     WHERE tenant = $1 AND id {in:$2} AND kind = 'partial' AND state IN ('receiving', 'complete')
     ORDER BY id {for_update}",
);
// To be needed puts expiry off. It also makes the expirer look again at a row that it is about to end.
static KEEP_PARTS: Sql =
    Sql::new("UPDATE uploads SET expires_at_ms = {now} + $2 WHERE id {in:$1} AND expires_at_ms < {now} + $2");
static INSERT_PARTS: Sql = Sql::new(
    "INSERT INTO upload_joins (upload_id, position, part_id)
     SELECT $1, CAST(v.value ->> 'position' AS BIGINT), v.value ->> 'part' FROM {rows:$2} AS v",
);
static PARTS: Sql = Sql::new(
    "SELECT p.id, p.state, p.size_bytes, p.file_epoch, p.source_key FROM upload_joins j JOIN uploads p ON p.id = j.part_id
     WHERE j.upload_id = $1 ORDER BY j.position",
);
static TO_JOIN: Sql = Sql::new(
    "SELECT {upload} FROM uploads
     WHERE state = 'receiving' AND kind = 'joined' AND id > $3
       AND (writer IS NULL OR writer = $1 OR updated_at_ms < {now} - $2) ORDER BY id LIMIT $4",
);
// Whoever had it as this process, or let it go, has no write under way any more: its file is gone on with.
static OPEN: Sql = Sql::new(
    "UPDATE uploads SET writer_epoch = writer_epoch + 1, writer = $2, updated_at_ms = {now}, {skip_parts},
                        file_epoch = CASE WHEN writer IS NULL OR writer = $2 THEN file_epoch ELSE writer_epoch + 1 END
     WHERE id = $1 AND state = 'receiving' AND kind = 'joined'
       AND (writer IS NULL OR writer = $2 OR updated_at_ms < {now} - $3) RETURNING {upload}",
);
static KEEP: Sql =
    Sql::new("UPDATE uploads SET updated_at_ms = {now} WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving'");

impl Catalog {
    /// Puts the expiry of an upload's parts off until it is there, and gives what they are.
    pub(crate) async fn take_parts(&self, tx: &mut Tx, new: &NewUpload) -> Result<Taken, Error> {
        let ids = list(new.parts.iter().map(ToString::to_string))?;
        let rows = sqlx::query(LOCK_PARTS.on(self.dialect))
            .bind(new.tenant.as_str())
            .bind(&ids)
            .fetch_all(&mut ***tx)
            .await?;
        let mut sizes = HashMap::with_capacity(rows.len());
        let mut beyond_bytes = 0_i64;
        for row in &rows {
            let size = row.try_get::<Option<i64>, _>("size_bytes")?;
            if size.is_some() {
                beyond_bytes = beyond_bytes.saturating_sub(held(row)?);
            }
            sizes.insert(Columns(row).parsed::<UploadId>("id")?, size);
        }
        let mut sum = Some(0_i64);
        for part in &new.parts {
            let size = sizes.get(part).ok_or(Error::PartUnusable(*part))?;
            sum = sum.zip(*size).map(|(sum, size)| sum.saturating_add(size));
            beyond_bytes = beyond_bytes.saturating_add(size.unwrap_or(0));
        }
        if let Some(sum) = sum.filter(|sum| *sum > limits::UPLOAD_BYTES_MAX) {
            return Err(Error::JoinedTooLong(sum));
        }
        sqlx::query(KEEP_PARTS.on(self.dialect))
            .bind(&ids)
            .bind(millis(new.expiry))
            .execute(&mut ***tx)
            .await?;
        Ok(Taken {
            size: sum,
            beyond_bytes: beyond_bytes.max(0),
        })
    }

    /// Records what a new upload is put together from.
    pub(crate) async fn insert_parts(&self, tx: &mut Tx, new: &NewUpload) -> Result<(), Error> {
        /// A row of the table.
        #[derive(Serialize)]
        struct Place {
            position: usize,
            part: UploadId,
        }
        let places = new.parts.iter().enumerate();
        sqlx::query(INSERT_PARTS.on(self.dialect))
            .bind(new.id.to_string())
            .bind(list(places.map(|(position, part)| Place { position, part: *part }))?)
            .execute(&mut ***tx)
            .await?;
        Ok(())
    }

    /// What an upload is put together from, in this order.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn join_parts(&self, upload: UploadId) -> Result<Vec<JoinPart>, Error> {
        let rows = sqlx::query(PARTS.on(self.dialect))
            .bind(upload.to_string())
            .fetch_all(&self.read)
            .await?;
        let part = |row| {
            let c = Columns(row);
            Ok(JoinPart {
                id: c.parsed("id")?,
                state: c.parsed("state")?,
                size: row.try_get("size_bytes")?,
                file_epoch: FileEpoch(c.int("file_epoch")?),
                source_key: c.text_or_null("source_key")?,
            })
        };
        rows.iter().map(part).collect()
    }

    /// Joined uploads that are not complete and that no living server puts together, or the asking one, with ids after `after`, at
    /// most `count_max`. A server is dead if it hasn't renewed the row for `lease`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn uploads_to_join(
        &self,
        writer: WriterId,
        lease: Duration,
        after: Option<UploadId>,
        count_max: i64,
    ) -> Result<Vec<Upload>, Error> {
        let rows = sqlx::query(TO_JOIN.on(self.dialect))
            .bind(writer.to_string())
            .bind(millis(lease))
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(Upload::try_from).collect()
    }

    /// Makes the caller the only writer of a joined upload, unless another living server is. As with any writer, one in another
    /// process than the one before it gets a file of its own. `None`: somebody else has it, or it has ended.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn open_joiner(&self, id: UploadId, writer: WriterId, lease: Duration) -> Result<Option<Upload>, Error> {
        let mut tx = self.begin().await?;
        let opened = sqlx::query(OPEN.on(self.dialect))
            .bind(id.to_string())
            .bind(writer.to_string())
            .bind(millis(lease))
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = opened else { return Ok(None) };
        let upload = Upload::try_from(&row)?;
        if upload.file_epoch.0 == upload.writer_epoch.0 {
            self.begin_file(&mut tx, &upload).await?;
        }
        self.commit(tx).await?;
        Ok(Some(upload))
    }

    /// Renews the row of an upload that the writer with this epoch puts together. `false`: it isn't the newest any more.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn keep_joining(&self, id: UploadId, epoch: WriterEpoch) -> Result<bool, Error> {
        let kept = sqlx::query(KEEP.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .execute(&self.write)
            .await?;
        Ok(kept.rows_affected() == 1)
    }
}
