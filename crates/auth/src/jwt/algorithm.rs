//! How tokens may be signed.

use std::{fmt, str::FromStr};

use jsonwebtoken::{Algorithm, AlgorithmFamily};

/// A way to sign with a key that only the signer has (RFC 7518, 3.1; RFC 8037).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JwtAlgorithm(pub(crate) Algorithm);

impl JwtAlgorithm {
    /// RSA, the most common one.
    pub const RS256: Self = Self(Algorithm::RS256);
    /// ECDSA with P-256.
    pub const ES256: Self = Self(Algorithm::ES256);
    /// Ed25519.
    pub const EDDSA: Self = Self(Algorithm::EdDSA);
}

/// A word that names no such way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtAlgorithmError {
    /// Whoever can verify can sign as well.
    #[error("{0} is signed with a secret that whoever verifies has too, and published keys are no secret")]
    Shared(String),
    /// It is not known here.
    #[error("{0:?} is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA")]
    Unknown(String),
}

impl FromStr for JwtAlgorithm {
    type Err = JwtAlgorithmError;

    fn from_str(word: &str) -> Result<Self, JwtAlgorithmError> {
        match word.parse::<Algorithm>() {
            Ok(algorithm) if algorithm.family() == AlgorithmFamily::Hmac => {
                Err(JwtAlgorithmError::Shared(word.to_owned()))
            }
            Ok(algorithm) => Ok(Self(algorithm)),
            Err(_) => Err(JwtAlgorithmError::Unknown(word.to_owned())),
        }
    }
}

impl fmt::Debug for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_both_sides_have_are_refused() {
        assert_eq!("ES256".parse(), Ok(JwtAlgorithm::ES256));
        assert_eq!(
            "HS256".parse::<JwtAlgorithm>(),
            Err(JwtAlgorithmError::Shared("HS256".into()))
        );
        for word in ["none", "None", "rs256", ""] {
            assert_eq!(
                word.parse::<JwtAlgorithm>(),
                Err(JwtAlgorithmError::Unknown(word.into()))
            );
        }
    }
}
