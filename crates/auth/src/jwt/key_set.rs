//! The keys that an issuer publishes (RFC 7517, 5).

use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse},
};

/// A key that can verify signatures.
#[derive(Debug)]
pub(crate) struct PublicKey {
    pub(crate) key: DecodingKey,
    id: Option<String>,
    /// The one algorithm that it is for, if the issuer says so.
    algorithm: Option<Algorithm>,
}

/// What an issuer publishes, as far as it is of use.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Arc<PublicKey>>);

/// Something that is no set of public keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It is not a JWK set.
    #[error("it is not a JSON Web Key Set: {0}")]
    Form(#[from] serde_json::Error),
    /// Nothing in it is of use.
    #[error("it holds no public key that could verify a signature")]
    Empty,
}

impl KeySet {
    /// Reads a set. Keys that are of no use here are passed over: those to encrypt with, those of an unknown kind, and secrets.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set: JwkSet = serde_json::from_slice(text)?;
        let keys: Vec<_> = set.keys.iter().filter_map(usable).map(Arc::new).collect();
        if keys.is_empty() {
            Err(KeySetError::Empty)
        } else {
            Ok(Self(keys))
        }
    }

    /// The key that a token is signed with, if it says which; otherwise the only one that it can be.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<PublicKey>> {
        let mut fitting = self.0.iter().filter(|key| key.fits(id, algorithm));
        let first = fitting.next()?;
        let is_named = id.is_some();
        (is_named || fitting.next().is_none()).then(|| Arc::clone(first))
    }
}

impl PublicKey {
    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let is_meant = id.is_none_or(|id| self.id.as_deref() == Some(id));
        is_meant && self.key.family() == algorithm.family() && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

fn usable(jwk: &Jwk) -> Option<PublicKey> {
    let common = &jwk.common;
    let is_for_signatures = common
        .public_key_use
        .as_ref()
        .is_none_or(|of| *of == PublicKeyUse::Signature);
    let mut operations = common.key_operations.iter().flatten();
    let verifies = common.key_operations.is_none() || operations.any(|of| *of == KeyOperations::Verify);
    let key = DecodingKey::from_jwk(jwk).ok()?;
    if !is_for_signatures || !verifies || key.family() == AlgorithmFamily::Hmac {
        return None;
    }
    let algorithm = common.key_algorithm.map(Algorithm::try_from).transpose().ok()?;
    Some(PublicKey {
        key,
        id: common.key_id.clone(),
        algorithm,
    })
}
