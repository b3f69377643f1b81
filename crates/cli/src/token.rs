//! `reelway token`: makes API keys, lists them and ends them.
//!
//! It works on the database and asks no server: whoever may change the database may make keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reelway_auth::{FreshApiKey, Scope};
use reelway_catalog::{ApiKey, Catalog, NewApiKey};
use reelway_domain::{ApiKeyId, Timestamp};
use serde_json::{Value, json};

use crate::{
    args::{NewKey, TokenCommand},
    beside,
    error::CliError,
    exit::Exit,
    output::Output,
    serve::catalog_failure,
    table,
};

/// Does one of the commands.
///
/// # Errors
/// If the database can't be used, or there is no such key.
pub(crate) async fn run(command: TokenCommand, out: Output) -> Result<Exit, CliError> {
    let catalog = beside::open(&command.args().database).await?;
    let done = act(&catalog, &command, out).await;
    catalog.close().await;
    done.map(|()| Exit::Done)
}

async fn act(catalog: &Catalog, command: &TokenCommand, out: Output) -> Result<(), CliError> {
    match command {
        TokenCommand::Create { key, .. } => create(catalog, key, out).await?,
        TokenCommand::List { tenant, .. } => {
            list(
                &catalog.list_api_keys(tenant.as_ref()).await.map_err(catalog_failure)?,
                out,
            );
        }
        TokenCommand::Revoke { id, .. } => revoke(catalog, *id, out).await?,
    }
    Ok(())
}

async fn create(catalog: &Catalog, wanted: &NewKey, out: Output) -> Result<(), CliError> {
    let fresh = FreshApiKey::generate();
    let new = NewApiKey {
        id: fresh.id,
        tenant: wanted.tenant.clone(),
        name: wanted.name.clone(),
        secret_sha256: fresh.secret_sha256,
        scopes: wanted.scope.iter().map(Scope::to_string).collect(),
        lifetime: wanted.expires.map(|expires| expires.0),
    };
    let key = catalog.create_api_key(&new).await.map_err(catalog_failure)?;
    if out.is_json {
        let mut told = object(&key);
        told["key"] = json!(fresh.text);
        out.json(&told);
        return Ok(());
    }
    out.line(&fresh.text);
    let (tenant, scopes) = (key.tenant.as_str(), key.scopes.join(", "));
    out.note(format_args!(
        "this is a key of {tenant} with {scopes}; it is not shown again"
    ));
    Ok(())
}

fn list(keys: &[ApiKey], out: Output) {
    if out.is_json {
        return keys.iter().for_each(|key| out.json(&object(key)));
    }
    let time = |at: Option<Timestamp>| at.map(rfc3339).unwrap_or_default();
    let row = |key: &ApiKey| {
        [
            key.id.to_string(),
            key.tenant.as_str().to_owned(),
            state(key).to_owned(),
            key.scopes.join(","),
            time(key.last_used_at),
            time(key.expires_at),
            key.name.clone(),
        ]
    };
    table::print(
        out,
        ["KEY", "TENANT", "STATE", "SCOPES", "LAST USED", "EXPIRES", "NAME"],
        &keys.iter().map(row).collect::<Vec<_>>(),
    );
}

async fn revoke(catalog: &Catalog, id: ApiKeyId, out: Output) -> Result<(), CliError> {
    let revoked = catalog.revoke_api_key(id).await.map_err(catalog_failure)?;
    let missing = || CliError::failed("KEY_NOT_FOUND", format_args!("there is no key {id}"));
    let key = revoked.ok_or_else(missing)?;
    if out.is_json {
        out.json(&object(&key));
    } else {
        out.line(format_args!("{id} is revoked; servers refuse it within five seconds"));
    }
    Ok(())
}

/// What is told of a key.
fn object(key: &ApiKey) -> Value {
    let time = |at: Option<Timestamp>| at.map(rfc3339);
    json!({
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": key.scopes,
        "state": state(key),
        "created_at": rfc3339(key.created_at),
        "expires_at": time(key.expires_at),
        "revoked_at": time(key.revoked_at),
        "last_used_at": time(key.last_used_at),
    })
}

fn state(key: &ApiKey) -> &'static str {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if since_1970(end) <= now => "expired",
        _ => "active",
    }
}

fn rfc3339(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_1970(at)).to_string()
}

fn since_1970(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}
