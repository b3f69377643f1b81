//! What a bucket holds of uploads that are not complete.
//!
//! A part or a rest is recorded by the commit that moves the offset behind it, and no earlier: what the catalog names is durable,
//! and what is durable and not named counts for nothing.

use std::time::Duration;

use reelway_domain::{Multipart, Offset, Staged, StagedChange, StoredPart, StoredRest, UploadId, WriterEpoch};

use crate::{Catalog, Commit, Error, row::Columns, sql::Sql, tx::Tx};

static MULTIPART: Sql = Sql::new("SELECT multipart_id, multipart_key, part_next FROM uploads WHERE id = $1");
static PARTS: Sql =
    Sql::new("SELECT number, start_offset, size_bytes, etag FROM parts WHERE upload_id = $1 ORDER BY number");
static RESTS: Sql =
    Sql::new("SELECT start_offset, end_offset, object_key FROM rests WHERE upload_id = $1 ORDER BY start_offset");
static BEGIN: Sql = Sql::new("UPDATE uploads SET multipart_id = $2, multipart_key = $3 WHERE id = $1");
static ADD_PART: Sql = Sql::new(
    "INSERT INTO parts (upload_id, number, start_offset, size_bytes, etag, created_at_ms)
     VALUES ($1, $2, $3, $4, $5, {now})",
);
static USED: Sql = Sql::new("UPDATE uploads SET part_next = $2 WHERE id = $1 AND part_next < $2");
static DROP_RESTS: Sql =
    Sql::new("DELETE FROM rests WHERE upload_id = $1 AND (start_offset < $2 OR start_offset >= $3)");
static ADD_REST: Sql =
    Sql::new("INSERT INTO rests (upload_id, start_offset, end_offset, object_key) VALUES ($1, $2, $3, $4)");
static FORGET_PARTS: Sql = Sql::new("DELETE FROM parts WHERE upload_id = $1");
static FORGET_RESTS: Sql = Sql::new("DELETE FROM rests WHERE upload_id = $1");
static FORGET_DIRECT: Sql = Sql::new("DELETE FROM direct_parts WHERE upload_id = $1");

impl Catalog {
    /// What a bucket holds of an upload, up to its durable offset.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn staged(&self, id: UploadId) -> Result<Staged, Error> {
        let id = id.to_string();
        // Of one moment: a commit in between would move bytes from the one table to the other.
        let mut tx = self.begin().await?;
        let row = sqlx::query(MULTIPART.on(self.dialect))
            .bind(&id)
            .fetch_one(&mut **tx)
            .await?;
        let parts = sqlx::query(PARTS.on(self.dialect))
            .bind(&id)
            .fetch_all(&mut **tx)
            .await?;
        let rests = sqlx::query(RESTS.on(self.dialect))
            .bind(&id)
            .fetch_all(&mut **tx)
            .await?;
        let columns = Columns(&row);
        let multipart = match (
            columns.text_or_null("multipart_id")?,
            columns.text_or_null("multipart_key")?,
        ) {
            (Some(id), Some(key)) => Some(Multipart { id, key }),
            _ => None,
        };
        let part = |row| {
            let columns = Columns(row);
            Ok::<_, Error>(StoredPart {
                number: u32::try_from(columns.int("number")?).unwrap_or(u32::MAX),
                from: Offset(columns.int("start_offset")?),
                size_bytes: columns.int("size_bytes")?,
                etag: columns.text("etag")?,
            })
        };
        let rest = |row| {
            let columns = Columns(row);
            Ok::<_, Error>(StoredRest {
                key: columns.text("object_key")?,
                from: Offset(columns.int("start_offset")?),
                to: Offset(columns.int("end_offset")?),
            })
        };
        Ok(Staged {
            multipart,
            parts: parts.iter().map(part).collect::<Result<_, _>>()?,
            rests: rests.iter().map(rest).collect::<Result<_, _>>()?,
            next_number: u32::try_from(columns.int("part_next")?).unwrap_or(u32::MAX),
        })
    }

    /// As [`Self::commit_offset`], with what the bucket holds more since the last commit.
    ///
    /// # Errors
    /// Those of [`Self::commit_offset`].
    pub async fn commit_staged(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        offset: Offset,
        expiry: Duration,
        change: &StagedChange,
    ) -> Result<Commit, Error> {
        if *change == StagedChange::default() {
            return self.commit_offset(id, epoch, offset, expiry).await;
        }
        self.commit_reserving(id, epoch, offset, expiry, change).await
    }

    /// Records a change in the transaction that moves the offset, which has locked the upload.
    pub(crate) async fn record_staged(&self, tx: &mut Tx, id: UploadId, change: &StagedChange) -> Result<(), Error> {
        let id = id.to_string();
        if let Some(multipart) = &change.multipart {
            sqlx::query(BEGIN.on(self.dialect))
                .bind(&id)
                .bind(&multipart.id)
                .bind(&multipart.key)
                .execute(&mut ***tx)
                .await?;
        }
        for part in &change.parts {
            sqlx::query(ADD_PART.on(self.dialect))
                .bind(&id)
                .bind(i64::from(part.number))
                .bind(part.from.0)
                .bind(part.size_bytes)
                .bind(&part.etag)
                .execute(&mut ***tx)
                .await?;
        }
        if let Some(last) = change.parts.last() {
            sqlx::query(USED.on(self.dialect))
                .bind(&id)
                .bind(i64::from(last.number) + 1)
                .execute(&mut ***tx)
                .await?;
        }
        let parts_end = change.parts.last().map_or(0, |part| part.to().0);
        let rests_begin = change.rests.first().map_or(i64::MAX, |rest| rest.from.0);
        sqlx::query(DROP_RESTS.on(self.dialect))
            .bind(&id)
            .bind(parts_end)
            .bind(rests_begin)
            .execute(&mut ***tx)
            .await?;
        for rest in &change.rests {
            sqlx::query(ADD_REST.on(self.dialect))
                .bind(&id)
                .bind(rest.from.0)
                .bind(rest.to.0)
                .bind(&rest.key)
                .execute(&mut ***tx)
                .await?;
        }
        Ok(())
    }

    /// Forgets how a complete upload came: it is one object now.
    pub(crate) async fn forget_staged(&self, tx: &mut Tx, id: UploadId) -> Result<(), Error> {
        for forget in [&FORGET_PARTS, &FORGET_RESTS, &FORGET_DIRECT] {
            sqlx::query(forget.on(self.dialect))
                .bind(id.to_string())
                .execute(&mut ***tx)
                .await?;
        }
        Ok(())
    }
}
