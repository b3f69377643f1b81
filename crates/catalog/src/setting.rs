//! What all processes of a deployment agree on.

use crate::{Catalog, Error, sql::Sql};

static PROPOSE: Sql = Sql::new("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
static FIND: Sql = Sql::new("SELECT value FROM settings WHERE name = $1");

impl Catalog {
    /// Agrees on a setting: the first process of a deployment that comes here decides, and all of them are told what it said.
    /// One that wants another value doesn't belong to the deployment. Names are words with dots; `schema.` is taken.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn agree(&self, name: &str, value: &str) -> Result<String, Error> {
        if let Some(agreed) = self.setting(name).await? {
            return Ok(agreed);
        }
        sqlx::query(PROPOSE.on(self.dialect))
            .bind(name)
            .bind(value)
            .execute(&self.write)
            .await?;
        // Another process may have been faster.
        let agreed = self.setting(name).await?;
        agreed.ok_or_else(|| Error::Corrupt(format!("the setting {name} vanished while it was agreed on")))
    }

    /// What was agreed on, if it was.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let value: Option<(String,)> = sqlx::query_as(FIND.on(self.dialect))
            .bind(name)
            .fetch_optional(&self.read)
            .await?;
        Ok(value.map(|(value,)| value))
    }
}
