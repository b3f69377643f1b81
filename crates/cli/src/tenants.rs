//! `reelway tenants`: what tenants have, and what they may have.

use reelway_catalog::{Catalog, Limit, NewLimits, Quota};
use reelway_domain::Tenant;
use serde_json::{Value, json};

use crate::{args::TenantsCommand, beside, error::CliError, exit::Exit, output::Output, serve::catalog_failure, table};

/// Does one of the commands.
///
/// # Errors
/// If the database can't be reached, or there is no such tenant.
pub(crate) async fn run(command: TenantsCommand, out: Output) -> Result<Exit, CliError> {
    let catalog = beside::open(&command.args().database).await?;
    let done = act(&catalog, command, out).await;
    catalog.close().await;
    done.map(|()| Exit::Done)
}

async fn act(catalog: &Catalog, command: TenantsCommand, out: Output) -> Result<(), CliError> {
    match command {
        TenantsCommand::List(_) => list(&catalog.quotas().await.map_err(catalog_failure)?, out),
        TenantsCommand::Get { tenant, .. } => show(&found(catalog, &tenant.name).await?, out),
        TenantsCommand::Set {
            tenant,
            bytes_max,
            uploads_open_max,
            ..
        } => {
            let new = NewLimits {
                bytes_max: bytes_max.map(|limit| limit.0),
                uploads_open_max: uploads_open_max.map(|limit| limit.0),
            };
            if new == NewLimits::default() {
                return Err(CliError::usage(
                    "say what to set: --bytes-max, --uploads-open-max or both",
                ));
            }
            catalog.set_limits(&tenant.name, new).await.map_err(catalog_failure)?;
            show(&found(catalog, &tenant.name).await?, out);
        }
    }
    Ok(())
}

async fn found(catalog: &Catalog, tenant: &Tenant) -> Result<Quota, CliError> {
    let quota = catalog.quota(tenant).await.map_err(catalog_failure)?;
    let unknown = || {
        let message = format!("nobody has heard of a tenant {}", tenant.as_str());
        CliError::failed("TENANT_NOT_FOUND", message)
            .hint("`reelway tenants set` makes it known before its first upload")
    };
    quota.ok_or_else(unknown)
}

fn list(quotas: &[Quota], out: Output) {
    if out.is_json {
        return quotas.iter().for_each(|quota| out.json(&object(quota)));
    }
    let row = |quota: &Quota| {
        [
            quota.tenant.as_str().to_owned(),
            bytes(quota.bytes_stored),
            bytes(quota.bytes_reserved),
            limit(quota.bytes_max, bytes),
            quota.uploads_open.to_string(),
            limit(quota.uploads_open_max, |max| max.to_string()),
        ]
    };
    table::print(
        out,
        ["TENANT", "STORED", "RESERVED", "MAX", "OPEN", "MAX"],
        &quotas.iter().map(row).collect::<Vec<_>>(),
    );
}

fn show(quota: &Quota, out: Output) {
    if out.is_json {
        return out.json(&object(quota));
    }
    let rows = [
        ("tenant", quota.tenant.as_str().to_owned()),
        ("bytes stored", bytes(quota.bytes_stored)),
        ("bytes reserved", bytes(quota.bytes_reserved)),
        ("bytes max", limit(quota.bytes_max, bytes)),
        ("uploads open", quota.uploads_open.to_string()),
        ("uploads open max", limit(quota.uploads_open_max, |max| max.to_string())),
    ];
    table::print_plain(out, &rows.map(|(name, value)| [name.to_owned(), value]));
}

/// Limits are numbers, or the words of the options.
fn object(quota: &Quota) -> Value {
    let limit = |max: Option<i64>| match word(max) {
        Some(word) => Value::from(word),
        None => Value::from(max),
    };
    json!({
        "tenant": quota.tenant.as_str(),
        "bytes_stored": quota.bytes_stored,
        "bytes_reserved": quota.bytes_reserved,
        "bytes_max": limit(quota.bytes_max),
        "uploads_open": quota.uploads_open,
        "uploads_open_max": limit(quota.uploads_open_max),
    })
}

fn limit(max: Option<i64>, shown: impl Fn(i64) -> String) -> String {
    word(max).map_or_else(|| shown(max.unwrap_or_default()), str::to_owned)
}

/// The word for a limit that is no number.
fn word(max: Option<i64>) -> Option<&'static str> {
    match max {
        None => Some("default"),
        Some(max) if Limit::Max(max) == Limit::NONE => Some("none"),
        Some(_) => None,
    }
}

fn bytes(count: i64) -> String {
    indicatif::BinaryBytes(count.unsigned_abs()).to_string()
}
