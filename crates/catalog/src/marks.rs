//! Whether anything changed, for many jobs or uploads at once: what a server asks on behalf of all that it looks after.

use std::collections::HashMap;

use reelway_domain::{EventSeq, JobId, Offset, Tenant, UploadId, UploadState, WriterEpoch};
use sqlx::any::AnyRow;

use crate::{
    Catalog, Error, Upload,
    row::Columns,
    sql::{Sql, list},
};

/// The most ids in one statement.
const IDS_MAX: usize = 512;

static OF_JOBS: Sql = Sql::new("SELECT id, event_seq FROM jobs WHERE id {in:$1}");
static OF_TENANTS: Sql = Sql::new("SELECT id, event_seq FROM tenants WHERE id {in:$1}");
static OF_WRITERS: Sql = Sql::new("SELECT id, writer_epoch, wake_at_offset FROM uploads WHERE id {in:$1}");
static OF_UPLOADS: Sql = Sql::new("SELECT id, state, durable_offset, writer_epoch FROM uploads WHERE id {in:$1}");

/// What changes with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadMark {
    /// Where it stands.
    pub state: UploadState,
    /// Every byte below is on stable storage.
    pub durable_offset: Offset,
    /// The newest writer.
    pub writer_epoch: WriterEpoch,
}

/// What a writer looks for in its upload's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterMark {
    /// The newest writer.
    pub writer_epoch: WriterEpoch,
    /// A task waits until so much is durable.
    pub wake_at: Option<Offset>,
}

impl Upload {
    /// What changes with this upload, as it was read.
    #[must_use]
    pub fn mark(&self) -> UploadMark {
        UploadMark {
            state: self.state,
            durable_offset: self.durable_offset,
            writer_epoch: self.writer_epoch,
        }
    }
}

impl Catalog {
    /// The number of each job's last event. A job that is gone is missing.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn event_seqs(&self, jobs: &[JobId]) -> Result<HashMap<JobId, EventSeq>, Error> {
        let mut seqs = HashMap::with_capacity(jobs.len());
        for some in jobs.chunks(IDS_MAX) {
            for row in self.marks(&OF_JOBS, some).await? {
                let (id, seq): (String, i64) = sqlx::FromRow::from_row(&row)?;
                seqs.insert(id.parse()?, EventSeq(seq));
            }
        }
        Ok(seqs)
    }

    /// The number of each tenant's last event. A tenant that has nothing may be missing.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn tenant_event_seqs(&self, tenants: &[Tenant]) -> Result<HashMap<Tenant, EventSeq>, Error> {
        let names: Vec<&str> = tenants.iter().map(Tenant::as_str).collect();
        let mut seqs = HashMap::with_capacity(names.len());
        for some in names.chunks(IDS_MAX) {
            for row in self.marks(&OF_TENANTS, some).await? {
                let (name, seq): (String, i64) = sqlx::FromRow::from_row(&row)?;
                seqs.insert(Tenant::stored(name), EventSeq(seq));
            }
        }
        Ok(seqs)
    }

    /// Where each upload stands. An upload that is gone is missing.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn upload_marks(&self, uploads: &[UploadId]) -> Result<HashMap<UploadId, UploadMark>, Error> {
        let mut marks = HashMap::with_capacity(uploads.len());
        for some in uploads.chunks(IDS_MAX) {
            for row in self.marks(&OF_UPLOADS, some).await? {
                let (id, state, durable_offset, writer_epoch): (String, String, i64, i64) =
                    sqlx::FromRow::from_row(&row)?;
                let mark = UploadMark {
                    state: state.parse()?,
                    durable_offset: Offset(durable_offset),
                    writer_epoch: WriterEpoch(writer_epoch),
                };
                marks.insert(id.parse()?, mark);
            }
        }
        Ok(marks)
    }

    /// What the writer of each upload is to know. An upload that is gone is missing.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn writer_marks(&self, uploads: &[UploadId]) -> Result<HashMap<UploadId, WriterMark>, Error> {
        let mut marks = HashMap::with_capacity(uploads.len());
        for some in uploads.chunks(IDS_MAX) {
            for row in self.marks(&OF_WRITERS, some).await? {
                let columns = Columns(&row);
                let mark = WriterMark {
                    writer_epoch: WriterEpoch(columns.int("writer_epoch")?),
                    wake_at: columns.int_or_null("wake_at_offset")?.map(Offset),
                };
                marks.insert(columns.parsed("id")?, mark);
            }
        }
        Ok(marks)
    }

    async fn marks(&self, select: &'static Sql, ids: &[impl ToString]) -> Result<Vec<AnyRow>, Error> {
        let query = sqlx::query(select.on(self.dialect)).bind(list(ids.iter().map(ToString::to_string))?);
        Ok(query.fetch_all(&self.read).await?)
    }
}
