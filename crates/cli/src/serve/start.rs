//! The start: the catalog is waited for if it is a server's, and its schema must fit.

use std::{path::Path, time::Duration};

use reelway_bus::{Bus, RedisSettings};
use reelway_catalog::{Catalog, Dialect, Error, Schema};
use reelway_domain::Failure;
use tokio::time::sleep;

use super::vitals::{Part, Vitals};
use crate::{config::ServeConfig, error::CliError};

/// How often a database that isn't there yet is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The URL of the catalog.
pub(crate) fn database_url(database: Option<&str>, data: &Path) -> String {
    database.map_or_else(
        || format!("sqlite://{}", data.join("catalog.sqlite").display()),
        str::to_owned,
    )
}

/// Opens the catalog. Postgres may be away at first, and another process may still have to bring its schema up to date:
/// meanwhile probes say what is waited for.
///
/// # Errors
/// If waiting doesn't help.
pub(super) async fn catalog(config: &ServeConfig, vitals: &Vitals) -> Result<Catalog, CliError> {
    let url = database_url(config.database.as_deref(), &config.data);
    let catalog = Catalog::open(&url).await.map_err(catalog_failure)?;
    let catalog = catalog
        .traced(reelway_telemetry::current)
        .with_quota(config.limits.quota);
    loop {
        match answered(&catalog, vitals, || prepare(&catalog, config.is_whole())).await? {
            Schema::Current | Schema::Newer { compatible: true, .. } => break,
            Schema::Older { .. } => {
                vitals.wrong(
                    Part::Schema,
                    "it is older than this release needs; run `reelway migrate`",
                );
            }
            Schema::Newer { version, .. } => return Err(catalog_failure(Error::NewerSchema(version))),
        }
        sleep(LOOK_EVERY).await;
    }
    vitals.well(Part::Schema);
    answered(&catalog, vitals, || catalog.expire_orphaned_leases()).await?;
    Ok(catalog)
}

/// What the catalog answers to a question of the start, which is asked again for as long as a server's database is away.
///
/// # Errors
/// If asking again doesn't help.
pub(super) async fn answered<T, A: Future<Output = Result<T, Error>>>(
    catalog: &Catalog,
    vitals: &Vitals,
    ask: impl Fn() -> A,
) -> Result<T, CliError> {
    loop {
        match ask().await {
            Ok(answer) => {
                vitals.well(Part::Catalog);
                return Ok(answer);
            }
            Err(error @ Error::Database(_)) if catalog.dialect() == Dialect::Postgres => {
                vitals.wrong(Part::Catalog, error);
                sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(catalog_failure(error)),
        }
    }
}

/// Looks at the schema. A process that runs all roles brings it up to date itself: there is nobody else who would.
async fn prepare(catalog: &Catalog, is_whole: bool) -> Result<Schema, Error> {
    match catalog.schema().await? {
        Schema::Older { .. } if is_whole => {
            catalog.migrate().await?;
            catalog.schema().await
        }
        seen => Ok(seen),
    }
}

/// The bus: within the process, or the Redis that all processes share. Whether Redis is there now doesn't matter.
///
/// # Errors
/// A usage error if its settings can't be understood.
pub(crate) fn bus(config: &ServeConfig) -> Result<Bus, CliError> {
    let Some(url) = &config.redis else {
        return Ok(Bus::default());
    };
    let settings = RedisSettings {
        url: url.clone(),
        prefix: config.redis_prefix.clone(),
        ca_file: config.redis_ca_file.clone(),
    };
    Bus::redis(settings).map_err(|error| CliError::usage(format!("--redis: {error}")))
}

/// What a command says when the catalog failed.
pub(crate) fn catalog_failure(error: Error) -> CliError {
    let message = error.to_string();
    CliError::failed(Failure::from(error).reason.as_str(), message)
}
