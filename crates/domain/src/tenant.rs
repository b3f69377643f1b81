//! Whom rows belong to.

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Whom a row belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(String);

/// A text that no tenant can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name is 1 to {NAME_BYTES_MAX} letters of ASCII, digits, '.', '_' and '-'")]
pub struct TenantError;

impl Tenant {
    /// The tenant of a node without identities.
    #[must_use]
    pub fn single() -> Self {
        Self("default".to_owned())
    }

    /// The tenant that somebody names: a key is made for it, or a token tells it.
    ///
    /// # Errors
    /// [`TenantError`] for a name that could mean something else in a path, a label or a log line.
    pub fn named(name: &str) -> Result<Self, TenantError> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_good = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain);
        is_good.then(|| Self(name.to_owned())).ok_or(TenantError)
    }

    /// The tenant that a stored row names.
    #[must_use]
    pub fn stored(name: String) -> Self {
        Self(name)
    }

    /// The stored name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "acme.eu-1_x", &"x".repeat(64), Tenant::single().as_str()] {
            assert_eq!(Tenant::named(good).as_ref().map(Tenant::as_str), Ok(good));
        }
        for bad in ["", &"x".repeat(65), "a b", "a/b", "auth0|7", "\u{fc}ber", "a\n", "a\0"] {
            assert_eq!(Tenant::named(bad), Err(TenantError), "{bad:?}");
        }
    }
}
