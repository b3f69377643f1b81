//! What is signed here, so that it can be believed later without asking anybody: `base64url(tag ‖ payload)`.
//!
//! The tag is HMAC-SHA256. Each purpose has a key of its own, derived from the deployment's, so what was signed for one never
//! passes for another.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reelway_catalog::{Catalog, Error};

use crate::api_key::hex;

/// The shortest key, in bytes.
const KEY_BYTES_MIN: usize = 32;
/// How long a tag is, in bytes.
const TAG_BYTES: usize = 32;
/// The name under which the catalog keeps the key that nobody configured.
const SETTING: &str = "auth.signing_key";

/// The keys of a deployment: all of its servers have the same. The first one signs, and all of them are believed, so that a key
/// can be replaced while what it signed is still around.
#[derive(Clone)]
pub struct SigningKeys(Arc<Ring>);

struct Ring {
    signing: Derived,
    /// Those that signed before.
    earlier: Vec<Derived>,
}

struct Derived {
    grants: hmac::Key,
    playback: hmac::Key,
}

/// What something is signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Grants for uploads.
    Grant,
    /// Playing a job's results.
    Playback,
}

/// A text that holds no keys to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeysError {
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
    /// One of the keys could be guessed.
    #[error("a key is shorter than {KEY_BYTES_MIN} characters; `openssl rand -hex 32` makes a good one")]
    Short,
}

impl SigningKeys {
    /// One key that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        Self::of(derive(&rand::random::<[u8; 32]>()), Vec::new())
    }

    /// The keys of a text, with white space between them. The first one signs.
    ///
    /// # Errors
    /// [`SigningKeysError`] if it holds none, or one that could be guessed.
    pub fn parse(text: &str) -> Result<Self, SigningKeysError> {
        let mut keys = text.split_ascii_whitespace().map(|key| {
            let is_long = key.len() >= KEY_BYTES_MIN;
            is_long.then(|| derive(key.as_bytes())).ok_or(SigningKeysError::Short)
        });
        let signing = keys.next().ok_or(SigningKeysError::Empty)??;
        Ok(Self::of(signing, keys.collect::<Result<_, _>>()?))
    }

    fn of(signing: Derived, earlier: Vec<Derived>) -> Self {
        Self(Arc::new(Ring { signing, earlier }))
    }

    /// The key that the catalog keeps for its deployment. The first process that asks makes it.
    ///
    /// # Errors
    /// [`Error::Database`] if the catalog's database fails, [`Error::Corrupt`] if what it keeps is no key.
    pub async fn agreed(catalog: &Catalog) -> Result<Self, Error> {
        let own = hex(&rand::random::<[u8; 32]>());
        let agreed = catalog.agree(SETTING, &own).await?;
        Self::parse(&agreed).map_err(|error| Error::Corrupt(format!("the setting {SETTING}: {error}")))
    }

    /// Signs.
    pub(crate) fn sign(&self, purpose: Purpose, payload: &[u8]) -> String {
        let tag = hmac::sign(self.0.signing.of(purpose), payload);
        URL_SAFE_NO_PAD.encode([tag.as_ref(), payload].concat())
    }

    /// What was signed; `None` if it was not signed here for this purpose.
    pub(crate) fn verified(&self, purpose: Purpose, text: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, payload) = bytes.split_at_checked(TAG_BYTES)?;
        let is_signed = |keys: &Derived| hmac::verify(keys.of(purpose), payload, tag).is_ok();
        let mut keys = std::iter::once(&self.0.signing).chain(&self.0.earlier);
        keys.any(is_signed).then(|| payload.to_vec())
    }
}

impl Derived {
    fn of(&self, purpose: Purpose) -> &hmac::Key {
        match purpose {
            Purpose::Grant => &self.grants,
            Purpose::Playback => &self.playback,
        }
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

fn derive(key: &[u8]) -> Derived {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let purpose = |name: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, name.as_bytes()).as_ref());
    Derived {
        grants: purpose("reelway upload grant 1"),
        playback: purpose("reelway playback 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn what_was_signed_is_believed_for_its_purpose_only() {
        let keys = SigningKeys::random();
        let text = keys.sign(Purpose::Grant, b"payload");
        assert_eq!(keys.verified(Purpose::Grant, &text).as_deref(), Some(&b"payload"[..]));
        assert_eq!(keys.verified(Purpose::Playback, &text), None);
        assert_eq!(SigningKeys::random().verified(Purpose::Grant, &text), None);
        for short in ["", "AAAA", &text[..20]] {
            assert_eq!(keys.verified(Purpose::Grant, short), None);
        }
    }

    #[test]
    fn a_replaced_key_is_still_believed() {
        let before = SigningKeys::parse(OLD).unwrap().sign(Purpose::Playback, b"a");
        let both = SigningKeys::parse(&format!("{NEW}\n{OLD}\n")).unwrap();
        assert!(both.verified(Purpose::Playback, &before).is_some());
        let after = both.sign(Purpose::Playback, b"a");
        let new = SigningKeys::parse(NEW).unwrap();
        assert!(new.verified(Purpose::Playback, &after).is_some());
        assert!(new.verified(Purpose::Playback, &before).is_none());
    }

    #[test]
    fn keys_that_could_be_guessed_are_refused() {
        assert_eq!(SigningKeys::parse(" \n").unwrap_err(), SigningKeysError::Empty);
        assert_eq!(
            SigningKeys::parse(&format!("{OLD} short")).unwrap_err(),
            SigningKeysError::Short
        );
        assert!(!format!("{:?}", SigningKeys::parse(OLD).unwrap()).contains(OLD));
    }

    #[tokio::test]
    async fn a_deployment_agrees_on_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&format!("sqlite://{}/c", dir.path().display()))
            .await
            .unwrap();
        catalog.migrate().await.unwrap();
        let first = SigningKeys::agreed(&catalog).await.unwrap();
        let second = SigningKeys::agreed(&catalog).await.unwrap();
        let text = first.sign(Purpose::Grant, b"a");
        assert!(second.verified(Purpose::Grant, &text).is_some());
    }
}
