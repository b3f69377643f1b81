//! The schema: which migrations a database has, and whether this binary can work with them.
//!
//! Servers of two releases run beside each other during an upgrade. So a migration only ever adds what older binaries don't
//! look at (it expands). One that takes something away (it contracts) comes releases later, and raises the setting
//! `schema.oldest_binary` to the number of the oldest migration that a binary must know to go on working.

use std::collections::BTreeSet;

use sqlx::{
    AnyConnection, Connection as _, Executor as _,
    migrate::{MigrateError, Migrator},
};

use crate::{Catalog, Dialect, Error, postgres, sql::Sql};

/// The setting that names the lowest migration that a binary must know.
const OLDEST_BINARY: &str = "schema.oldest_binary";

/// How a database's schema stands to this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// It is this binary's.
    Current,
    /// Migrations of this binary are missing: [`Catalog::migrate`] applies them.
    Older {
        /// The newest migration that it has; `None` if it is empty.
        version: Option<i64>,
    },
    /// It has migrations that this binary does not know.
    Newer {
        /// The newest.
        version: i64,
        /// They only add to what this binary knows, so it works all the same.
        compatible: bool,
    },
}

static IS_THERE: Sql = Sql::new("SELECT COUNT(*) FROM {tables} WHERE name = '_sqlx_migrations'");
static APPLIED: Sql = Sql::new("SELECT version FROM _sqlx_migrations ORDER BY version");

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.set_ignore_missing(true);
    migrations
}

impl Catalog {
    /// Looks at the schema, and changes nothing.
    ///
    /// # Errors
    /// [`Error::Database`] with the reason if the database can't be asked.
    pub async fn schema(&self) -> Result<Schema, Error> {
        self.ping().await?;
        let known: BTreeSet<i64> = migrations().iter().map(|migration| migration.version).collect();
        let applied = self.applied().await?;
        let version = applied.last().copied();
        if !known.is_subset(&applied) {
            return Ok(Schema::Older { version });
        }
        match (version, known.last()) {
            (Some(version), Some(newest)) if version > *newest => {
                let oldest = self
                    .setting(OLDEST_BINARY)
                    .await?
                    .and_then(|oldest| oldest.parse::<i64>().ok());
                let compatible = oldest.is_some_and(|oldest| oldest <= *newest);
                Ok(Schema::Newer { version, compatible })
            }
            _ => Ok(Schema::Current),
        }
    }

    async fn applied(&self) -> Result<BTreeSet<i64>, Error> {
        let (tables,): (i64,) = sqlx::query_as(IS_THERE.on(self.dialect)).fetch_one(&self.read).await?;
        if tables == 0 {
            return Ok(BTreeSet::new());
        }
        let versions: Vec<(i64,)> = sqlx::query_as(APPLIED.on(self.dialect)).fetch_all(&self.read).await?;
        Ok(versions.into_iter().map(|(version,)| version).collect())
    }

    /// Brings the schema up to this binary's. Any number of processes may do this at once; one does it, the others wait. Does
    /// nothing if the schema is newer and this binary can work with it.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] if it is newer and this binary can't, [`Error::Database`] if the database can't be reached.
    pub async fn migrate(&self) -> Result<(), Error> {
        if let Schema::Newer { version, compatible } = self.schema().await? {
            return if compatible {
                Ok(())
            } else {
                Err(Error::NewerSchema(version))
            };
        }
        let migrated = match self.dialect {
            Dialect::Sqlite => migrations().run(&self.write).await,
            Dialect::Postgres => {
                // A connection of its own: it may wait for longer than servers do.
                let mut connection = AnyConnection::connect_with(&self.write.connect_options()).await?;
                connection.execute(postgres::MIGRATING_SESSION).await?;
                let migrated = migrations().run(&mut connection).await;
                connection.close().await?;
                migrated
            }
        };
        migrated.map_err(|error| match error {
            MigrateError::Execute(source) => Error::Database(source),
            other => Error::Migrate(other),
        })
    }
}
