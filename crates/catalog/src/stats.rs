//! What the queue and the outbox look like, for those who watch over them.

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

/// What is not done yet, whatever it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs of which nothing was started, also those whose upload still receives.
    pub jobs_queued: i64,
    /// Jobs that are being worked on.
    pub jobs_running: i64,
    /// For how long the oldest hint is in the outbox; zero if it is empty.
    pub outbox_oldest: Duration,
    /// Webhooks that are neither delivered nor given up.
    pub webhooks: i64,
}

// Begins at the claimable tasks, which have an index. A queued job whose upload is complete was last changed when it
// began to wait: by its creation, the upload's completion, or a retry.
static QUEUE: Sql = Sql::new(
    "SELECT COUNT(DISTINCT j.id), COALESCE({now} - MIN(j.updated_at_ms), 0)
     FROM tasks t JOIN jobs j ON j.id = t.job_id JOIN uploads u ON u.id = j.upload_id
     WHERE t.state = 'queued' AND t.pending = 0 AND j.state = 'queued' AND u.state = 'complete'",
);

static BACKLOG: Sql = Sql::new(
    "SELECT (SELECT COUNT(*) FROM jobs WHERE state = 'queued'), (SELECT COUNT(*) FROM jobs WHERE state = 'running'),
            (SELECT COALESCE({now} - MIN(created_at_ms), 0) FROM outbox),
            (SELECT COUNT(*) FROM webhooks WHERE state = 'pending')",
);

/// The connections of this process to its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// How many are open.
    pub open: u32,
    /// How many of them wait to be used.
    pub idle: u32,
}

impl Catalog {
    /// Looks at the pool; asks the database nothing.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let idle = u32::try_from(self.write.num_idle()).unwrap_or(u32::MAX);
        Connections {
            open: self.write.size(),
            idle,
        }
    }

    /// Measures the queue of all tenants.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn queue(&self) -> Result<Queue, Error> {
        let (jobs, oldest_ms): (i64, i64) = sqlx::query_as(QUEUE.on(self.dialect)).fetch_one(&self.read).await?;
        let oldest = since(oldest_ms);
        Ok(Queue { jobs, oldest })
    }

    /// Counts what is not done yet, of all tenants.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        let (jobs_queued, jobs_running, outbox_oldest_ms, webhooks): (i64, i64, i64, i64) =
            sqlx::query_as(BACKLOG.on(self.dialect)).fetch_one(&self.read).await?;
        Ok(Backlog {
            jobs_queued,
            jobs_running,
            outbox_oldest: since(outbox_oldest_ms),
            webhooks,
        })
    }
}

fn since(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
