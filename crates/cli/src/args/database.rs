//! The arguments of the commands that work on a database: `reelway migrate`, `reelway db` and others.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    config::{self, ConfigError},
    secret,
    serve::database_url,
    serve_args::HumanDuration,
};

/// Which database a node runs on.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// The database [default: SQLite below the data directory]
    #[arg(long, value_name = "URL", env = "REELWAY_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Read the database's URL from this file
    #[arg(long, value_name = "FILE", env = "REELWAY_DATABASE_FILE")]
    database_file: Option<PathBuf>,
    /// The data directory of the node.
    #[arg(long, value_name = "DIR", env = "REELWAY_DATA", default_value = config::DATA_DIR)]
    data: PathBuf,
}

impl DatabaseArgs {
    /// The database's URL.
    ///
    /// # Errors
    /// If it is given twice, or the file can't be read.
    pub(crate) fn url(&self) -> Result<String, ConfigError> {
        let given = secret::given("database", self.database.clone(), self.database_file.as_deref())?;
        Ok(database_url(given.as_deref(), &self.data))
    }
}

/// What `reelway migrate` takes.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Wait so long for a database that isn't there yet, for example 5m
    #[arg(long, value_name = "DURATION", env = "REELWAY_MIGRATE_WAIT")]
    pub(crate) wait: Option<HumanDuration>,
}

/// What can be done with a database.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Copy the catalog of an embedded node to Postgres. The node must be stopped; its SQLite file stays as it is.
    Copy(CopyArgs),
}

/// What `reelway db copy` takes.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The SQLite file: sqlite:///FILE
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The Postgres database, which must be empty: postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL", env = "REELWAY_DATABASE", hide_env_values = true)]
    pub(crate) to: Option<String>,
    /// Read the URL of the Postgres database from this file
    #[arg(long, value_name = "FILE", env = "REELWAY_DATABASE_FILE")]
    pub(crate) to_file: Option<PathBuf>,
}

impl CopyArgs {
    /// The URL of the database that is copied to, if one is given.
    ///
    /// # Errors
    /// If it is given twice, or the file can't be read.
    pub(crate) fn to(&self) -> Result<Option<String>, ConfigError> {
        secret::given("to", self.to.clone(), self.to_file.as_deref())
    }
}
