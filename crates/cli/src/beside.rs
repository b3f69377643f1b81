//! The catalog, for a command that changes a little in it beside running servers.

use reelway_catalog::{Catalog, Error, Schema};

use crate::{args::DatabaseArgs, error::CliError, serve::catalog_failure};

/// Opens the catalog. Its schema must be this release's: bringing it up to date belongs to those who run on it.
///
/// # Errors
/// If the database is not there, or is of another release.
pub(crate) async fn open(database: &DatabaseArgs) -> Result<Catalog, CliError> {
    open_url(&database.url()?).await
}

/// The same, of a database by its URL.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_url(url: &str) -> Result<Catalog, CliError> {
    let catalog = Catalog::open_beside(url).await.map_err(catalog_failure)?;
    match catalog.schema().await.map_err(catalog_failure)? {
        Schema::Current | Schema::Newer { compatible: true, .. } => Ok(catalog),
        Schema::Newer { version, .. } => Err(catalog_failure(Error::NewerSchema(version))),
        Schema::Older { .. } => {
            let message = "the database is older than this release needs";
            Err(CliError::failed("SCHEMA_OLDER", message).hint("run `reelway migrate`, or start the node once"))
        }
    }
}
