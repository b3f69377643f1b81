//! Tokens of an identity provider: JSON Web Tokens (RFC 7519), signed with keys that it publishes (RFC 7517).
//!
//! What a token says of itself is believed only within what is configured: its algorithm is one of a list, which never holds
//! one whose secret both sides have (RFC 8725, 2.1 and 3.1), and its issuer and audience are named.

mod algorithm;
mod claims;
mod fetch;
mod jwks;
mod key_set;

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Header, Validation, errors::ErrorKind};
use reelway_domain::{Failure, Reason};
use serde_json::{Map, Value};

use crate::{Identity, auth::not_valid};

pub use self::{
    algorithm::{JwtAlgorithm, JwtAlgorithmError},
    fetch::{JwksError, JwksSource},
    key_set::KeySetError,
};
use self::{jwks::Jwks, key_set::PublicKey};

/// Whose tokens are taken, and what they must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSettings {
    /// Where the issuer's keys are.
    pub jwks: JwksSource,
    /// The `iss` that tokens may have; at least one.
    pub issuers: Vec<String>,
    /// The `aud` that tokens may have; at least one.
    pub audiences: Vec<String>,
    /// How they may be signed; at least one.
    pub algorithms: Vec<JwtAlgorithm>,
    /// How far the issuer's clock and ours may be apart.
    pub leeway: Duration,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that lists the scopes: words with spaces between them, or an array of words.
    pub scope_claim: String,
}

impl JwtSettings {
    /// How tokens may be signed unless configured otherwise.
    pub const ALGORITHMS: [JwtAlgorithm; 3] = [JwtAlgorithm::RS256, JwtAlgorithm::ES256, JwtAlgorithm::EDDSA];
    /// How far clocks may be apart unless configured otherwise.
    pub const LEEWAY: Duration = Duration::from_secs(30);
    /// The claim that names the tenant unless configured otherwise.
    pub const TENANT_CLAIM: &'static str = "tenant";
    /// The claim that lists the scopes unless configured otherwise (RFC 8693, 4.2).
    pub const SCOPE_CLAIM: &'static str = "scope";
}

/// Judges tokens.
#[derive(Debug)]
pub(crate) struct Jwt {
    settings: JwtSettings,
    jwks: Arc<Jwks>,
}

impl Jwt {
    pub(crate) fn new(settings: JwtSettings) -> Result<Self, JwksError> {
        let jwks = Arc::new(Jwks::new(settings.jwks.clone())?);
        Ok(Self { settings, jwks })
    }

    /// Whom a token names.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID` if it is not to be believed; `SERVICE_UNAVAILABLE` if the issuer's keys can't be had now.
    pub(crate) async fn identify(&self, token: &str) -> Result<Identity, Failure> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| refused(error.kind()))?;
        let is_listed = self.settings.algorithms.iter().any(|listed| listed.0 == header.alg);
        // Extensions that must be understood aren't (RFC 7515, 4.1.11).
        if !is_listed || header.crit.is_some() {
            tracing::debug!(algorithm = ?header.alg, "a token is signed in a way that is not listed");
            return Err(not_valid());
        }
        let found = self.jwks.find(header.kid.as_deref(), header.alg).await?;
        let key = found.ok_or_else(|| {
            tracing::debug!(
                kid = header.kid,
                "a token is signed with a key that its issuer doesn't publish"
            );
            not_valid()
        })?;
        let claims = self.claims(token, &header, &key)?;
        claims::identity(&claims, &self.settings.tenant_claim, &self.settings.scope_claim)
    }

    fn claims(&self, token: &str, header: &Header, key: &PublicKey) -> Result<Map<String, Value>, Failure> {
        let mut validation = Validation::new(header.alg);
        validation.leeway = self.settings.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&self.settings.issuers);
        validation.set_audience(&self.settings.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let decoded = jsonwebtoken::decode(token, &key.key, &validation);
        decoded.map(|data| data.claims).map_err(|error| refused(error.kind()))
    }
}

/// What the holder of a token hears. That it has ended is found out after its signature, so it was good once.
fn refused(kind: &ErrorKind) -> Failure {
    tracing::debug!(problem = ?kind, "a token was refused");
    match kind {
        ErrorKind::ExpiredSignature => Failure::new(Reason::CredentialsInvalid, "the token has expired; get another"),
        _ => not_valid(),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
