//! Who may call, as it is configured.

use std::time::Duration;

use reelway_auth::{Auth, AuthSettings, JwksSource, JwtAlgorithm, JwtSettings, SigningKeys};
use reelway_catalog::Catalog;

use super::{start, vitals::Vitals};
use crate::{
    config::{JwtConfig, ServeConfig},
    error::CliError,
};

/// Clocks that are further apart are wrong.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// The judge of what callers show. Keys to sign with that nobody configured are made once and kept in the catalog.
///
/// # Errors
/// If the settings can't work, or the catalog fails.
pub(super) async fn open(config: &ServeConfig, catalog: &Catalog, vitals: &Vitals) -> Result<Auth, CliError> {
    let keys = match signing_keys(config)? {
        Some(keys) => keys,
        None => start::answered(catalog, vitals, || SigningKeys::agreed(catalog)).await?,
    };
    if !config.auth.is_required {
        return Ok(Auth::open().with_keys(keys));
    }
    let settings = AuthSettings {
        keys,
        jwt: jwt(config)?,
    };
    Auth::new(settings, catalog.clone()).map_err(|error| CliError::usage(format!("--jwt-jwks: {error}")))
}

/// Refuses what can't work.
///
/// # Errors
/// A usage error that names the setting.
pub(super) fn check(config: &ServeConfig) -> Result<(), CliError> {
    signing_keys(config)?;
    if let Some(settings) = jwt(config)? {
        settings
            .jwks
            .check()
            .map_err(|error| CliError::usage(format!("--jwt-jwks: {error}")))?;
    }
    Ok(())
}

fn signing_keys(config: &ServeConfig) -> Result<Option<SigningKeys>, CliError> {
    let given = config
        .auth
        .signing_key
        .as_ref()
        .map(|secret| SigningKeys::parse(&secret.0));
    given
        .transpose()
        .map_err(|error| CliError::usage(format!("--signing-key-file: {error}")))
}

fn jwt(config: &ServeConfig) -> Result<Option<JwtSettings>, CliError> {
    let given = &config.auth.jwt;
    let Some(jwks) = &given.jwks else {
        return nothing_without_keys(given);
    };
    if !config.auth.is_required {
        let message = "--jwt-jwks: nobody has to show a token";
        return Err(CliError::usage(message).hint("say --auth required as well"));
    }
    for (option, named) in [("--jwt-issuer", &given.issuers), ("--jwt-audience", &given.audiences)] {
        if named.is_empty() || named.iter().any(String::is_empty) {
            let message = format!("{option}: it must be named, or tokens that are meant for others would be taken too");
            return Err(CliError::usage(message));
        }
    }
    let leeway = given.leeway.unwrap_or(JwtSettings::LEEWAY);
    if leeway > LEEWAY_MAX {
        return Err(CliError::usage("--jwt-leeway: it must be 5m or less"));
    }
    let source = jwks.parse::<JwksSource>();
    let claim = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
    Ok(Some(JwtSettings {
        jwks: source.map_err(|error| CliError::usage(format!("--jwt-jwks: {error}")))?,
        issuers: given.issuers.clone(),
        audiences: given.audiences.clone(),
        algorithms: algorithms(given)?,
        leeway,
        tenant_claim: claim(&given.tenant_claim, JwtSettings::TENANT_CLAIM),
        scope_claim: claim(&given.scope_claim, JwtSettings::SCOPE_CLAIM),
    }))
}

/// Whoever says something of tokens wants them to be taken.
fn nothing_without_keys(given: &JwtConfig) -> Result<Option<JwtSettings>, CliError> {
    if *given == JwtConfig::default() {
        return Ok(None);
    }
    let message = "--jwt-jwks: it is missing, so no token could be verified, and other options are about tokens";
    Err(CliError::usage(message))
}

fn algorithms(given: &JwtConfig) -> Result<Vec<JwtAlgorithm>, CliError> {
    let Some(words) = &given.algorithms else {
        return Ok(JwtSettings::ALGORITHMS.to_vec());
    };
    let parsed: Result<Vec<_>, _> = words.iter().map(|word| word.parse()).collect();
    parsed.map_err(|error| CliError::usage(format!("--jwt-algorithms: {error}")))
}

#[cfg(test)]
mod tests;
