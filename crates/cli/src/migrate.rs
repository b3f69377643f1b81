//! `reelway migrate`: brings the schema up to this binary's.

use crate::{
    args::MigrateArgs,
    error::CliError,
    exit::Exit,
    output::Output,
    serve::{database_url, open_catalog},
};

/// Applies the migrations that are missing.
///
/// # Errors
/// If the database can't be reached, is in use by a running node (SQLite), or is newer than this binary.
pub(crate) async fn run(args: MigrateArgs, out: Output) -> Result<Exit, CliError> {
    let catalog = open_catalog(&database_url(args.database.as_deref(), &args.data)).await?;
    catalog.close().await;
    out.line("the schema is up to date");
    Ok(Exit::Done)
}
