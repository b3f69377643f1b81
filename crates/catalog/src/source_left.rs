//! Bytes that are still where a source isn't any more.

use reelway_domain::{SourceState, UploadId};

use crate::{Catalog, Error, row::Columns, sql::Sql};

/// A source that has left bytes behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLeft {
    /// Which upload.
    pub id: UploadId,
    /// Where the source is now. If it is in the archive store, only what is at its old place may go; if it is nowhere, everything.
    pub state: SourceState,
}

static LEFT: Sql =
    Sql::new("SELECT id, source_state FROM uploads WHERE source_left = 1 AND state = 'complete' ORDER BY id LIMIT $1");
// A source that was archived and is removed meanwhile has left more.
static GONE: Sql =
    Sql::new("UPDATE uploads SET source_left = 0 WHERE id = $1 AND source_state = $2 AND state = 'complete'");

impl Catalog {
    /// Sources that have left bytes behind, at most `count_max`.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn sources_left(&self, count_max: i64) -> Result<Vec<SourceLeft>, Error> {
        let rows = sqlx::query(LEFT.on(self.dialect))
            .bind(count_max)
            .fetch_all(&self.read)
            .await?;
        let left = |row| {
            let columns = Columns(row);
            Ok(SourceLeft {
                id: columns.parsed("id")?,
                state: columns.parsed("source_state")?,
            })
        };
        rows.iter().map(left).collect()
    }

    /// Records that what a source has left behind is gone.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn source_left_gone(&self, left: &SourceLeft) -> Result<(), Error> {
        sqlx::query(GONE.on(self.dialect))
            .bind(left.id.to_string())
            .bind(left.state.as_str())
            .execute(&self.write)
            .await?;
        Ok(())
    }
}
