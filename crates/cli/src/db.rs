//! `reelway db`: from the embedded node's database to a server's.

use std::path::Path;

use reelway_catalog::{Catalog, Copied, Error};

use crate::{
    args::{CopyArgs, DbCommand},
    error::CliError,
    exit::Exit,
    output::Output,
    serve::catalog_failure,
};

/// Does what was asked for.
///
/// # Errors
/// If it can't be done; then the database that was copied to is as before.
pub(crate) async fn run(command: DbCommand, out: Output) -> Result<Exit, CliError> {
    let DbCommand::Copy(args) = command;
    let to = args
        .to()?
        .ok_or_else(|| CliError::usage("--to: name the Postgres database"))?;
    expect_scheme("--from", &args.from, &["sqlite://"])?;
    expect_scheme("--to", &to, &["postgres://", "postgresql://"])?;
    // Opening would make the file.
    if args
        .from
        .strip_prefix("sqlite://")
        .is_none_or(|file| !Path::new(file).is_file())
    {
        return Err(CliError::usage(format!("--from {}: there is no such file", args.from)));
    }
    let copied = copy(&args, &to).await.map_err(|error| match error {
        Error::Copy(error) => CliError::failed("COPY_FAILED", error),
        error => catalog_failure(error),
    })?;
    report(&copied, out);
    Ok(Exit::Done)
}

/// The node's lock on its SQLite file refuses this while it runs.
async fn copy(args: &CopyArgs, to: &str) -> Result<Copied, Error> {
    let from = Catalog::open(&args.from).await?;
    let to = Catalog::open(to).await?;
    let copied = async {
        from.migrate().await?;
        to.migrate().await?;
        reelway_catalog::copy(&from, &to).await
    };
    let copied = copied.await;
    from.close().await;
    to.close().await;
    copied
}

fn report(copied: &Copied, out: Output) {
    for (table, rows) in &copied.tables {
        out.line(format_args!("{rows:>10} {table}"));
    }
    out.note("the copy has the same rows; start the servers with --database and this --to");
}

/// Refuses another kind of database.
fn expect_scheme(option: &str, url: &str, schemes: &[&str]) -> Result<(), CliError> {
    if schemes.iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(());
    }
    // The URL itself may hold a password.
    Err(CliError::usage(format!("{option}: it must begin with {}", schemes[0])))
}
