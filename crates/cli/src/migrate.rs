//! `reelway migrate`: brings the schema up to this binary's.

use std::time::Duration;

use reelway_catalog::{Catalog, Dialect, Error};
use tokio::time::{Instant, sleep};

use crate::{args::MigrateArgs, error::CliError, exit::Exit, output::Output, serve::catalog_failure};

/// How often a database that isn't there yet is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Applies the migrations that are missing. Any number of processes may do it at once.
///
/// # Errors
/// If the database can't be reached in time, is in use by a running node (SQLite), or is newer than this binary.
pub(crate) async fn run(args: MigrateArgs, out: Output) -> Result<Exit, CliError> {
    let catalog = Catalog::open(&args.database.url()?).await.map_err(catalog_failure)?;
    let deadline = Instant::now() + args.wait.map_or(Duration::ZERO, |wait| wait.0);
    let migrated = migrate(&catalog, deadline, out).await;
    catalog.close().await;
    migrated.map_err(catalog_failure)?;
    out.line("the schema is up to date");
    Ok(Exit::Done)
}

async fn migrate(catalog: &Catalog, deadline: Instant, out: Output) -> Result<(), Error> {
    let mut is_told = false;
    loop {
        // What a migration itself finds wrong doesn't mend by waiting; a database that doesn't answer may.
        match catalog.ping().await {
            Ok(()) => return catalog.migrate().await,
            Err(error @ Error::Database(_)) if is_server(catalog) && Instant::now() < deadline => {
                if !is_told {
                    out.note(format_args!("waiting: {error}"));
                    is_told = true;
                }
                sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_server(catalog: &Catalog) -> bool {
    catalog.dialect() == Dialect::Postgres
}
