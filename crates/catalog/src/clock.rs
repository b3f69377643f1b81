//! The database's clock: it judges leases and ends of uploads for everybody.

use reelway_domain::Timestamp;

use crate::{Catalog, Error, sql::Sql};

static NOW: Sql = Sql::new("SELECT {now}");

impl Catalog {
    /// What the database's clock says. That of SQLite is this machine's.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn clock(&self) -> Result<Timestamp, Error> {
        let (now_ms,): (i64,) = sqlx::query_as(NOW.on(self.dialect)).fetch_one(&self.read).await?;
        Ok(Timestamp(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_near_this_machines_clock() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("catalog.sqlite").display());
        let catalog = Catalog::open(&url).await.unwrap();
        let told = catalog.clock().await.unwrap();
        let here = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        assert!(here.abs_diff(u128::try_from(told.0).unwrap()) < 60_000, "{told:?}");
    }
}
