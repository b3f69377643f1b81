//! Tasks that wait for bytes of an upload that still receives.
//!
//! Each upload says at which offset the next of them has what it needs (`wake_at_offset`). Whoever adds or changes such tasks
//! says it anew, with the upload's row locked; a commit that passes it wakes workers, and finds the next. So a commit that
//! nothing waits for remains one statement. A task whose predecessor ends only after its bytes came is woken for by that end.

use reelway_domain::{JobId, UploadId};
use sqlx::any::AnyRow;

use crate::{Catalog, Error, row::Columns, sql::Sql, tx::Tx};

macro_rules! next_offset {
    () => {
        "(SELECT MIN(t.ready_at_offset) FROM jobs j JOIN tasks t ON t.job_id = j.id
          WHERE j.upload_id = uploads.id AND j.state IN ('queued', 'running') AND t.state = 'queued'
            AND t.ready_at_offset > uploads.durable_offset)"
    };
}
static LOCK_UPLOAD: Sql =
    Sql::new("SELECT id FROM uploads WHERE id = (SELECT upload_id FROM jobs WHERE id = $1) {for_update}");
static LOCK: Sql = Sql::new("SELECT id FROM uploads WHERE id = $1 {for_update}");
static SAY: Sql = Sql::new(concat!(
    "UPDATE uploads SET wake_at_offset = ",
    next_offset!(),
    " WHERE id = (SELECT upload_id FROM jobs WHERE id = $1) AND state = 'receiving'
     RETURNING id, wake_at_offset"
));
static PASS: Sql = Sql::new(concat!(
    "UPDATE uploads SET wake_at_offset = ",
    next_offset!(),
    " WHERE id = $1 AND wake_at_offset <= durable_offset"
));
static REACHED: Sql = Sql::new(
    "SELECT COUNT(*) FROM jobs j JOIN uploads u ON u.id = j.upload_id JOIN tasks t ON t.job_id = j.id
     WHERE j.upload_id = $1 AND t.ready_at_offset >= $2 AND {claimable}",
);

impl Catalog {
    /// Locks the upload of a job, as the first thing that a change does: neither may it end, nor may bytes be committed that
    /// the change doesn't know of.
    pub(crate) async fn lock_upload_of(&self, tx: &mut Tx, job: JobId) -> Result<(), Error> {
        sqlx::query(LOCK_UPLOAD.on(self.dialect))
            .bind(job.to_string())
            .fetch_optional(&mut ***tx)
            .await?;
        Ok(())
    }

    /// Says anew what the tasks of a job's upload wait for, and gives the upload if they wait for any of its bytes. The upload must be
    /// locked.
    pub(crate) async fn say_what_waits(&self, tx: &mut Tx, job: JobId) -> Result<Option<UploadId>, Error> {
        let said = sqlx::query(SAY.on(self.dialect))
            .bind(job.to_string())
            .fetch_optional(&mut ***tx)
            .await?;
        match said.as_ref().map(Columns) {
            Some(columns) if columns.int_or_null("wake_at_offset")?.is_some() => columns.parsed("id").map(Some),
            _ => Ok(None),
        }
    }

    /// Wakes workers if a commit has reached what tasks wait for, as its row says, which was read with `wake_at_offset`. The
    /// commit is durable already, so nothing may fail here: workers look for tasks by themselves too.
    pub(crate) async fn wake_for_bytes(&self, committed: &AnyRow) {
        if let Err(error) = self.try_wake_for_bytes(committed).await {
            tracing::warn!(%error, "could not wake workers for the bytes of an upload");
        }
    }

    async fn try_wake_for_bytes(&self, committed: &AnyRow) -> Result<(), Error> {
        let columns = Columns(committed);
        let (waited_for, durable) = (columns.int_or_null("wake_at_offset")?, columns.int("durable_offset")?);
        match waited_for {
            Some(offset) if offset <= durable => self.pass(columns.parsed("id")?, offset).await,
            _ => Ok(()),
        }
    }

    async fn pass(&self, upload: UploadId, offset: i64) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        // Locked first: a statement that has to wait for the row doesn't see the tasks that it waited for.
        sqlx::query(LOCK.on(self.dialect))
            .bind(upload.to_string())
            .fetch_optional(&mut **tx)
            .await?;
        let passed = sqlx::query(PASS.on(self.dialect))
            .bind(upload.to_string())
            .execute(&mut **tx)
            .await?;
        if passed.rows_affected() == 0 {
            return Ok(());
        }
        // Ends of predecessors that are under way are waited for here, or find the bytes themselves.
        self.lock_living_jobs_of(&mut tx, upload).await?;
        let (count,): (i64,) = sqlx::query_as(REACHED.on(self.dialect))
            .bind(upload.to_string())
            .bind(offset)
            .fetch_one(&mut **tx)
            .await?;
        tx.leave_tasks(count);
        self.commit(tx).await
    }
}
