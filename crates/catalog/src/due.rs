//! The order in which workers take tasks.
//!
//! A task is due when somebody who watches from the start will want what it makes. Workers take what is due first, so the
//! beginning of a clip that has just arrived comes before the end of a film that arrived an hour ago; and as every task's time
//! comes, nothing waits for ever. What else moves the time: how much its tenant has waiting already, and the job's priority.

use reelway_domain::JobId;

use crate::{Catalog, Error, sql::Sql, tx::Tx};

/// How much later than it is watched a part of the video may be made, as a factor: a machine that encodes at a quarter of the
/// speed of playing gets through a film in its order, and what arrives meanwhile still comes first.
const STRETCH: i64 = 4;
/// What the position in the video counts for at most, in milliseconds of the video: ten hours.
const POSITION_MAX_MS: i64 = 10 * 3_600_000;
/// How much later a job is due for each job of the same tenant that is before it, in milliseconds: about what a clip takes.
const BEHIND_EACH_MS: i64 = 10_000;
/// How many jobs before it count at most, so that nobody is put off for more than an hour.
const BEFORE_MAX: i64 = 360;
/// How much sooner a job is due for each point of priority, in milliseconds.
const PRIORITY_POINT_MS: i64 = 60_000;

// The ids of jobs ascend with the time of their creation.
static DUE: Sql = Sql::new(
    "SELECT {now} - $2 * j.priority + $3 * (
        SELECT COUNT(*) FROM (SELECT 1 FROM jobs o WHERE o.tenant = j.tenant AND o.id < j.id
                                AND o.state IN ('queued', 'running') LIMIT $4) AS earlier)
     FROM jobs j WHERE j.id = $1",
);

impl Catalog {
    /// When the first tasks of a job are due that are added to it now, in milliseconds since 1970.
    pub(crate) async fn due_ms(&self, tx: &mut Tx, job: JobId) -> Result<i64, Error> {
        let (due_ms,): (i64,) = sqlx::query_as(DUE.on(self.dialect))
            .bind(job.to_string())
            .bind(PRIORITY_POINT_MS)
            .bind(BEHIND_EACH_MS)
            .bind(BEFORE_MAX)
            .fetch_one(&mut ***tx)
            .await?;
        Ok(due_ms)
    }
}

/// How much later than a job's first tasks those are due that make the video from `position_ms` on.
pub(crate) fn stretched(position_ms: i64) -> i64 {
    position_ms.clamp(0, POSITION_MAX_MS) * STRETCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_stretched_within_bounds() {
        assert_eq!(stretched(0), 0);
        assert_eq!(stretched(60_000), 240_000);
        assert_eq!(stretched(-5), 0);
        assert_eq!(stretched(i64::MAX), POSITION_MAX_MS * STRETCH);
    }
}
