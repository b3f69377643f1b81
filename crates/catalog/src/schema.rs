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

#[cfg(test)]
mod tests {
    use super::*;

    /// What binaries that are running would miss, or fail at. (Indexes are nobody's business but the database's.)
    const TAKES_AWAY: [&str; 5] = ["DROP TABLE", "DROP COLUMN", "RENAME", "ALTER COLUMN", "SET NOT NULL"];

    /// The rules of migrations/README.md.
    fn broken_rules(version: i64, sql: &str) -> Vec<String> {
        let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
        let code = code.collect::<Vec<_>>().join(" ");
        let says_so = code.contains(&format!(
            "UPDATE settings SET value = '{version}' WHERE name = '{OLDEST_BINARY}'"
        ));
        let mut broken = Vec::new();
        for statement in code.split(';').map(str::trim) {
            let upper = statement.to_uppercase();
            if TAKES_AWAY.iter().any(|words| upper.contains(words)) && !says_so {
                broken.push(format!("{statement}: takes something away, and {OLDEST_BINARY} stays"));
            }
            if upper.contains("ADD COLUMN") && upper.contains("NOT NULL") && !upper.contains("DEFAULT") {
                broken.push(format!("{statement}: older binaries write rows without it"));
            }
        }
        broken
    }

    #[test]
    fn migrations_only_add_unless_they_say_so() {
        let later = migrations();
        let later: Vec<_> = later.iter().filter(|migration| migration.version > 2).collect();
        assert!(later.len() >= 4, "the first two made separate servers possible");
        for migration in later {
            let broken = broken_rules(migration.version, migration.sql.as_str());
            assert_eq!(broken, Vec::<String>::new(), "migration {}", migration.version);
        }
    }

    #[test]
    fn a_migration_that_takes_something_away_is_found() {
        for (sql, is_fine) in [
            ("ALTER TABLE jobs DROP COLUMN priority;", false),
            ("ALTER TABLE jobs RENAME TO old;", false),
            ("ALTER TABLE jobs ADD COLUMN mood TEXT NOT NULL;", false),
            ("ALTER TABLE jobs ADD COLUMN mood TEXT NOT NULL DEFAULT 'good';", true),
            (
                "-- DROP TABLE is only spoken of here\nCREATE TABLE moods (id TEXT);",
                true,
            ),
            (
                "DROP TABLE moods; UPDATE settings SET value = '7' WHERE name = 'schema.oldest_binary';",
                true,
            ),
            (
                "DROP TABLE moods; UPDATE settings SET value = '6' WHERE name = 'schema.oldest_binary';",
                false,
            ),
        ] {
            assert_eq!(broken_rules(7, sql).is_empty(), is_fine, "{sql}");
        }
    }
}
