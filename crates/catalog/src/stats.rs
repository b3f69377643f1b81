//! What the queue looks like, for those who watch over it.

use std::time::Duration;

use crate::{Catalog, Error, sql::Sql};

/// The jobs that wait for nothing but a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many there are.
    pub jobs: i64,
    /// For how long the oldest waits; zero if there is none.
    pub oldest: Duration,
}

// Begins at the claimable tasks, which have an index. A queued job whose upload is complete was last changed when it
// began to wait: by its creation, the upload's completion, or a retry.
static QUEUE: Sql = Sql::new(
    "SELECT COUNT(DISTINCT j.id), COALESCE({now} - MIN(j.updated_at_ms), 0)
     FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
     WHERE t.state = 'queued' AND t.pending = 0 AND j.state = 'queued' AND u.state = 'complete'",
);

impl Catalog {
    /// Measures the queue of all tenants.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn queue(&self) -> Result<Queue, Error> {
        let (jobs, oldest_ms): (i64, i64) = sqlx::query_as(QUEUE.on(self.dialect)).fetch_one(&self.read).await?;
        let oldest = Duration::from_millis(u64::try_from(oldest_ms).unwrap_or(0));
        Ok(Queue { jobs, oldest })
    }
}
