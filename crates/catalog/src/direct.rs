//! Parts that a client puts into the bucket itself.
//!
//! They are handed out with numbers from the upload's own sequence, so that no other writer uses these, and belong to the writer whose
//! epoch they were handed out under. A part counts when it was seen in the store and all before it count; then it is a part as any
//! other. What is left of a writer that was displaced never counts, and its numbers are passed over.

use std::time::Duration;

use reelway_domain::{Multipart, Offset, StagedChange, StoredPart, UploadId, WriterEpoch, limits};
use serde::Serialize;

use crate::{
    Catalog, Commit, Error, Upload,
    row::Columns,
    sql::{Sql, list},
    tx::Tx,
    upload::millis,
    write::COMMIT_BEYOND,
};

/// A part that was handed out and doesn't count yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectPart {
    /// Its number.
    pub number: u32,
    /// Where it begins in the upload.
    pub from: Offset,
    /// How long it is.
    pub size_bytes: i64,
    /// What the store was seen to have; `None`: nothing yet.
    pub etag: Option<String>,
}

/// What is to be handed out.
#[derive(Debug, Clone)]
pub struct DirectParts {
    /// The multipart upload that was begun for it, if none was there.
    pub multipart: Option<Multipart>,
    /// The length of every part but the last, in bytes.
    pub part_bytes: i64,
    /// At most so many. No more than [`limits::DIRECT_PARTS_MAX`] that don't count yet are ever handed out.
    pub count: usize,
    /// No number is higher.
    pub number_max: u32,
}

/// What came of handing parts out.
#[derive(Debug, Clone, PartialEq)]
pub enum Reserved {
    /// These don't count yet and were not seen, in order.
    Done {
        /// The upload as it is now.
        upload: Upload,
        /// What the parts belong to: not always what was begun for it.
        multipart: Multipart,
        /// The parts.
        parts: Vec<DirectPart>,
    },
    /// A later writer has taken over, or the upload has ended: nothing was changed.
    Superseded,
}

/// What came of counting parts.
#[derive(Debug, Clone, PartialEq)]
pub enum Counted {
    /// They are recorded.
    Done {
        /// The upload as it is now.
        upload: Upload,
        /// How far the durable offset moved.
        bytes: i64,
    },
    /// A later writer has taken over, or the upload has ended: nothing was changed.
    Superseded,
}

static HOLD: Sql = Sql::new(
    "UPDATE uploads SET updated_at_ms = {now}, expires_at_ms = {now} + $3
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving'
     RETURNING {upload}, multipart_id, multipart_key, part_next",
);
static FORGET_DISPLACED: Sql = Sql::new("DELETE FROM direct_parts WHERE upload_id = $1 AND writer_epoch <> $2");
static HANDED_OUT: Sql = Sql::new(
    "SELECT number, start_offset, size_bytes, etag FROM direct_parts WHERE upload_id = $1 AND writer_epoch = $2
     ORDER BY number",
);
static HAND_OUT: Sql = Sql::new(
    "INSERT INTO direct_parts (upload_id, writer_epoch, number, start_offset, size_bytes)
     SELECT $1, $2, CAST(v.value ->> 'number' AS BIGINT), CAST(v.value ->> 'from' AS BIGINT),
            CAST(v.value ->> 'size_bytes' AS BIGINT)
     FROM {rows:$3} AS v",
);
static USE: Sql = Sql::new("UPDATE uploads SET multipart_id = $2, multipart_key = $3, part_next = $4 WHERE id = $1");
static WAIT_FOR_WHOLE: Sql = Sql::new(
    "UPDATE tasks SET ready_at_offset = NULL, updated_at_ms = {now}
     WHERE job_id = $1 AND state = 'queued' AND ready_at_offset IS NOT NULL",
);
static SEEN: Sql =
    Sql::new("UPDATE direct_parts SET etag = $4 WHERE upload_id = $1 AND writer_epoch = $2 AND number = $3");
static COUNTED: Sql = Sql::new("DELETE FROM direct_parts WHERE upload_id = $1 AND start_offset < $2");

static LOST: Sql = Sql::new(
    "SELECT number, start_offset, size_bytes, NULL AS etag FROM parts WHERE upload_id = $1 AND etag = '' ORDER BY number",
);
static LOSE: Sql = Sql::new("UPDATE parts SET etag = '' WHERE upload_id = $1 AND number = $2");
static FOUND: Sql = Sql::new("UPDATE parts SET etag = $3 WHERE upload_id = $1 AND number = $2 AND etag = ''");

impl Catalog {
    /// Hands parts out to the writer with this epoch: first those that were lost, then those that it has already and that were not seen
    /// in the store, then further ones. Nothing of the upload is read before it is complete from then on.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails. [`Error::Corrupt`] without a multipart upload, or if the length isn't known.
    pub async fn reserve_direct_parts(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        expiry: Duration,
        asked: &DirectParts,
    ) -> Result<Reserved, Error> {
        let mut tx = self.begin().await?;
        let held = self.hold_writer(&mut tx, id, epoch, expiry).await?;
        let Some(Held {
            upload,
            multipart,
            next,
        }) = held
        else {
            return Ok(Reserved::Superseded);
        };
        let multipart = multipart.or_else(|| asked.multipart.clone());
        let multipart = multipart.ok_or_else(|| Error::Corrupt("parts of no multipart upload".to_owned()))?;
        let size = upload
            .size
            .ok_or_else(|| Error::Corrupt("parts of no length".to_owned()))?;
        sqlx::query(FORGET_DISPLACED.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .execute(&mut **tx)
            .await?;
        let before = self.handed_out(&mut tx, id, epoch).await?;
        if before.is_empty() {
            self.wait_for_whole(&mut tx, id).await?;
        }
        let before_count = before.len();
        let from = before.last().map_or(upload.durable_offset, end);
        let mut parts = self.lost(&mut tx, id).await?;
        parts.extend(before.into_iter().filter(|part| part.etag.is_none()));
        let room = limits::DIRECT_PARTS_MAX.saturating_sub(before_count);
        let fresh = further(
            from,
            size,
            next,
            asked,
            asked.count.saturating_sub(parts.len()).min(room),
        );
        if !fresh.is_empty() {
            sqlx::query(HAND_OUT.on(self.dialect))
                .bind(id.to_string())
                .bind(epoch.0)
                .bind(list(&fresh)?)
                .execute(&mut **tx)
                .await?;
        }
        let next = fresh.last().map_or(next, |part| i64::from(part.number) + 1);
        sqlx::query(USE.on(self.dialect))
            .bind(id.to_string())
            .bind(&multipart.id)
            .bind(&multipart.key)
            .bind(next)
            .execute(&mut **tx)
            .await?;
        self.commit(tx).await?;
        parts.extend(fresh);
        parts.truncate(asked.count);
        Ok(Reserved::Done {
            upload,
            multipart,
            parts,
        })
    }

    /// Lets the tasks that would begin while this writer's bytes arrive wait until the upload is complete. `false`: it isn't the newest
    /// writer any more, or the upload has ended, and nothing was changed.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn read_when_whole(&self, id: UploadId, epoch: WriterEpoch, expiry: Duration) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        if self.hold_writer(&mut tx, id, epoch, expiry).await?.is_none() {
            return Ok(false);
        }
        self.wait_for_whole(&mut tx, id).await?;
        self.commit(tx).await?;
        Ok(true)
    }

    /// The parts that this writer was handed out and that don't count yet, in order.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn direct_parts(&self, id: UploadId, epoch: WriterEpoch) -> Result<Vec<DirectPart>, Error> {
        let rows = sqlx::query(HANDED_OUT.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(part).collect()
    }

    /// Records that the store has these parts otherwise than they counted. They are handed out again; until they were seen as they are
    /// to be, the upload can't become complete. The durable offset stays: what was handed out is not read before the upload is complete.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn lose_parts(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        expiry: Duration,
        numbers: &[u32],
    ) -> Result<Commit, Error> {
        let mut tx = self.begin().await?;
        let Some(Held { upload, .. }) = self.hold_writer(&mut tx, id, epoch, expiry).await? else {
            return Ok(Commit::Superseded);
        };
        for number in numbers {
            sqlx::query(LOSE.on(self.dialect))
                .bind(id.to_string())
                .bind(i64::from(*number))
                .execute(&mut **tx)
                .await?;
        }
        self.commit(tx).await?;
        Ok(Commit::Done(upload))
    }

    /// Records that the store was seen to have these parts (numbers and ETags), which were handed out to this writer or were
    /// lost. The durable offset moves behind all that follow it without a gap.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the parts may count or not then.
    pub async fn count_direct_parts(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        expiry: Duration,
        seen: &[(u32, String)],
    ) -> Result<Counted, Error> {
        let mut tx = self.begin().await?;
        let Some(Held { upload, .. }) = self.hold_writer(&mut tx, id, epoch, expiry).await? else {
            return Ok(Counted::Superseded);
        };
        for (number, etag) in seen {
            sqlx::query(SEEN.on(self.dialect))
                .bind(id.to_string())
                .bind(epoch.0)
                .bind(i64::from(*number))
                .bind(etag)
                .execute(&mut **tx)
                .await?;
            sqlx::query(FOUND.on(self.dialect))
                .bind(id.to_string())
                .bind(i64::from(*number))
                .bind(etag)
                .execute(&mut **tx)
                .await?;
        }
        let parts = without_gap(upload.durable_offset, self.handed_out(&mut tx, id, epoch).await?);
        let Some(offset) = parts.last().map(StoredPart::to) else {
            self.commit(tx).await?;
            return Ok(Counted::Done { upload, bytes: 0 });
        };
        let bytes = offset.0 - upload.durable_offset.0;
        let moved = sqlx::query(COMMIT_BEYOND.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(offset.0)
            .bind(millis(expiry))
            .fetch_one(&mut **tx)
            .await?;
        let change = StagedChange {
            parts,
            ..StagedChange::default()
        };
        self.record_staged(&mut tx, id, &change).await?;
        sqlx::query(COUNTED.on(self.dialect))
            .bind(id.to_string())
            .bind(offset.0)
            .execute(&mut **tx)
            .await?;
        self.commit(tx).await?;
        let upload = Upload::try_from(&moved)?;
        Ok(Counted::Done { upload, bytes })
    }

    /// Locks the upload if this is its writer, and puts its expiry off.
    async fn hold_writer(
        &self,
        tx: &mut Tx,
        id: UploadId,
        epoch: WriterEpoch,
        expiry: Duration,
    ) -> Result<Option<Held>, Error> {
        let held = sqlx::query(HOLD.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(millis(expiry))
            .fetch_optional(&mut ***tx)
            .await?;
        let Some(row) = held else { return Ok(None) };
        let columns = Columns(&row);
        let (begun, key) = (
            columns.text_or_null("multipart_id")?,
            columns.text_or_null("multipart_key")?,
        );
        Ok(Some(Held {
            upload: Upload::try_from(&row)?,
            multipart: begun.zip(key).map(|(id, key)| Multipart { id, key }),
            next: columns.int("part_next")?,
        }))
    }

    async fn handed_out(&self, tx: &mut Tx, id: UploadId, epoch: WriterEpoch) -> Result<Vec<DirectPart>, Error> {
        let rows = sqlx::query(HANDED_OUT.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .fetch_all(&mut ***tx)
            .await?;
        rows.iter().map(part).collect()
    }

    async fn lost(&self, tx: &mut Tx, id: UploadId) -> Result<Vec<DirectPart>, Error> {
        let rows = sqlx::query(LOST.on(self.dialect))
            .bind(id.to_string())
            .fetch_all(&mut ***tx)
            .await?;
        rows.iter().map(part).collect()
    }

    /// Lets the tasks that would begin while bytes arrive wait: what clients put into the bucket can't be read before it is whole.
    async fn wait_for_whole(&self, tx: &mut Tx, id: UploadId) -> Result<(), Error> {
        for job in self.living_jobs_of(tx, id).await? {
            self.lock_tasks(tx, job).await?;
            sqlx::query(WAIT_FOR_WHOLE.on(self.dialect))
                .bind(job.to_string())
                .execute(&mut ***tx)
                .await?;
            self.say_what_waits(tx, job).await?;
        }
        Ok(())
    }
}

/// An upload as its writer holds it.
struct Held {
    upload: Upload,
    multipart: Option<Multipart>,
    next: i64,
}

/// The parts that come from `from` on, with numbers from `next` on.
fn further(from: Offset, size: i64, next: i64, asked: &DirectParts, count: usize) -> Vec<DirectPart> {
    let numbers = u32::try_from(next).unwrap_or(u32::MAX)..=asked.number_max;
    let part_bytes = asked.part_bytes.max(1);
    let steps = (0..).map(|step| from.0.saturating_add(part_bytes.saturating_mul(step)));
    let starts = steps.take_while(|start| *start < size);
    let parts = numbers.zip(starts).take(count);
    parts
        .map(|(number, start)| DirectPart {
            number,
            from: Offset(start),
            size_bytes: part_bytes.min(size - start),
            etag: None,
        })
        .collect()
}

/// What follows the durable offset and was seen, up to the first that wasn't.
fn without_gap(durable: Offset, handed_out: Vec<DirectPart>) -> Vec<StoredPart> {
    let mut end = durable;
    let mut parts = Vec::new();
    for DirectPart {
        number,
        from,
        size_bytes,
        etag,
    } in handed_out
    {
        let Some(etag) = etag.filter(|_| from == end) else {
            break;
        };
        let part = StoredPart {
            number,
            from,
            size_bytes,
            etag,
        };
        end = part.to();
        parts.push(part);
    }
    parts
}

fn end(part: &DirectPart) -> Offset {
    Offset(part.from.0 + part.size_bytes)
}

fn part(row: &sqlx::any::AnyRow) -> Result<DirectPart, Error> {
    let columns = Columns(row);
    Ok(DirectPart {
        number: u32::try_from(columns.int("number")?).unwrap_or(u32::MAX),
        from: Offset(columns.int("start_offset")?),
        size_bytes: columns.int("size_bytes")?,
        etag: columns.text_or_null("etag")?,
    })
}
