//! The files of an upload: one as long as one process writes it, and one more for each writer in another process.
//!
//! Nothing can stop the write of a process that was paused or cut off, so its successor doesn't share its file. File `k`
//! holds the bytes from where it was begun to where the next one was; the last writer gathers them in its own before the
//! upload is complete.

use reelway_domain::{FileEpoch, Offset, Tenant, UploadId, WriterEpoch, WriterId};

use crate::{Catalog, Error, Keeper, Upload, sql::Sql, tx::Tx};

/// A run of an upload's bytes in a file before the newest one. It may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierBytes {
    /// The file that holds them.
    pub file: FileEpoch,
    /// Where they begin, in the file as in the upload.
    pub from: Offset,
    /// Where they end.
    pub to: Offset,
}

static TAKE_OVER: Sql = Sql::new(
    "UPDATE uploads SET writer_epoch = writer_epoch + 1, file_epoch = writer_epoch + 1, writer = $3, {skip_parts},
                        updated_at_ms = {now}
     WHERE tenant = $1 AND id = $2 AND state = 'receiving' AND kind <> 'joined' RETURNING {upload}",
);
static FENCE: Sql = Sql::new(
    "UPDATE uploads SET writer_epoch = writer_epoch + 1, file_epoch = writer_epoch + 1, writer = NULL, {skip_parts},
                        updated_at_ms = {now}
     WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving' RETURNING {upload}",
);
static BEGIN: Sql = Sql::new("INSERT INTO upload_files (upload_id, epoch, start_offset) VALUES ($1, $2, $3)");
static LET_GO: Sql =
    Sql::new("UPDATE uploads SET writer = NULL WHERE id = $1 AND writer_epoch = $2 AND state = 'receiving'");
static FILES: Sql =
    Sql::new("SELECT epoch, start_offset FROM upload_files WHERE upload_id = $1 AND epoch <= $2 ORDER BY epoch");
static FORGET: Sql = Sql::new("DELETE FROM upload_files WHERE upload_id = $1");
// What came to nothing and is not freed yet is removed with the upload, not file by file; so is what a source has left behind.
static KEEPS: Sql = Sql::new(
    "SELECT COUNT(*) FROM uploads
     WHERE id = $1 AND (state = 'receiving' OR (state = 'complete' AND source_state IS NULL AND file_epoch = $2)
                        OR (state = 'complete' AND source_left = 1)
                        OR (state IN ('failed', 'aborted', 'expired') AND freed = 0))",
);
static ARCHIVE_KEEPS: Sql = Sql::new(
    "SELECT COUNT(*) FROM uploads
     WHERE id = $1 AND ((state = 'complete' AND source_state = 'archived' AND file_epoch = $2)
                        OR (state = 'complete' AND source_state IS NULL AND source_lease_ms >= {now})
                        OR (state = 'complete' AND source_state = 'removed' AND source_left = 1)
                        OR (state IN ('failed', 'aborted', 'expired') AND freed = 0))",
);

// What came to nothing and is not freed yet is removed by whoever frees it.
static KEEPS_ANY: Sql = Sql::new(
    "SELECT COUNT(*) FROM uploads
     WHERE id = $1 AND (state IN ('receiving', 'complete') OR (state IN ('failed', 'aborted', 'expired') AND freed = 0))",
);

impl Catalog {
    /// Whether a bucket is to keep what it has of this upload. It isn't if the upload is unknown, or came to nothing and was freed.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn keeps_upload(&self, id: UploadId) -> Result<bool, Error> {
        let (count,): (i64,) = sqlx::query_as(KEEPS_ANY.on(self.dialect))
            .bind(id.to_string())
            .fetch_one(&self.read)
            .await?;
        Ok(count > 0)
    }

    /// Makes the caller the only writer, with a file of its own from the durable offset on. `None`: it doesn't receive.
    pub(crate) async fn take_over(
        &self,
        tenant: &Tenant,
        id: UploadId,
        writer: WriterId,
    ) -> Result<Option<Upload>, Error> {
        let mut tx = self.begin().await?;
        let taken = sqlx::query(TAKE_OVER.on(self.dialect))
            .bind(tenant.as_str())
            .bind(id.to_string())
            .bind(writer.to_string())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = taken else { return Ok(None) };
        let upload = Upload::try_from(&row)?;
        self.begin_file(&mut tx, &upload).await?;
        self.commit(tx).await?;
        Ok(Some(upload))
    }

    /// Ends the writer with this epoch wherever it is, without another in its place: it can't commit any more, and whoever
    /// writes next begins a file at the durable offset. `None`: it isn't the newest any more.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; the writer may be ended or not then.
    pub async fn fence_writer(&self, id: UploadId, epoch: WriterEpoch) -> Result<Option<Upload>, Error> {
        let mut tx = self.begin().await?;
        let fenced = sqlx::query(FENCE.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = fenced else { return Ok(None) };
        let upload = Upload::try_from(&row)?;
        self.begin_file(&mut tx, &upload).await?;
        self.commit(tx).await?;
        Ok(Some(upload))
    }

    /// Records where an upload's newest file begins.
    pub(crate) async fn begin_file(&self, tx: &mut Tx, upload: &Upload) -> Result<(), Error> {
        sqlx::query(BEGIN.on(self.dialect))
            .bind(upload.id.to_string())
            .bind(upload.file_epoch.0)
            .bind(upload.durable_offset.0)
            .execute(&mut ***tx)
            .await?;
        Ok(())
    }

    /// Records that this writer has ended and no write of its process is under way: whoever writes next, anywhere, can go on
    /// in its file. Call it only if that is so and every byte that the process wrote there is on stable storage.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails; then the next writer begins another file.
    pub async fn let_go(&self, id: UploadId, epoch: WriterEpoch) -> Result<(), Error> {
        sqlx::query(LET_GO.on(self.dialect))
            .bind(id.to_string())
            .bind(epoch.0)
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// What the files before an upload's newest one hold, in the order of their bytes. `None`: the upload has ended.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn earlier_bytes(&self, upload: &Upload) -> Result<Option<Vec<EarlierBytes>>, Error> {
        let files: Vec<(i64, i64)> = sqlx::query_as(FILES.on(self.dialect))
            .bind(upload.id.to_string())
            .bind(upload.file_epoch.0)
            .fetch_all(&self.read)
            .await?;
        let (mut earlier, mut file, mut from) = (Vec::with_capacity(files.len()), FileEpoch::FIRST, Offset::ZERO);
        for (epoch, start) in files {
            let to = Offset(start);
            earlier.push(EarlierBytes { file, from, to });
            (file, from) = (FileEpoch(epoch), to);
        }
        Ok((file == upload.file_epoch).then_some(earlier))
    }

    /// Whether the store is to keep this file of this upload. It isn't if the upload is unknown, complete in another file or in
    /// another store, or came to nothing and was freed.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn keeps_upload_file(&self, id: UploadId, file: FileEpoch, keeper: Keeper) -> Result<bool, Error> {
        let keeps = match keeper {
            Keeper::Uploads => &KEEPS,
            Keeper::Archive => &ARCHIVE_KEEPS,
        };
        let (count,): (i64,) = sqlx::query_as(keeps.on(self.dialect))
            .bind(id.to_string())
            .bind(file.0)
            .fetch_one(&self.read)
            .await?;
        Ok(count > 0)
    }

    /// Forgets where the files of an upload began, once one of them holds all of it.
    pub(crate) async fn forget_files(&self, tx: &mut Tx, upload: &Upload) -> Result<(), Error> {
        if upload.file_epoch != FileEpoch::FIRST {
            sqlx::query(FORGET.on(self.dialect))
                .bind(upload.id.to_string())
                .execute(&mut ***tx)
                .await?;
        }
        Ok(())
    }
}
