//! API keys as texts: `rwk_`, an id that is no secret, `_`, and a secret.
//!
//! The beginning makes a key that was published by mistake easy to find. The secret has 256 random bits, so a fast digest of
//! it can be kept: there is nothing to guess.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest};
use reelway_catalog::ApiKey;
use reelway_domain::{ApiKeyId, Timestamp};

/// What every key begins with.
pub(crate) const PREFIX: &str = "rwk_";
/// How long an id is, in bytes.
const ID_BYTES: usize = PREFIX.len() + 32;

/// A key that was just made. This is the only moment at which anybody sees it.
#[derive(Clone)]
pub struct FreshApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The key, as its holder shows it.
    pub text: String,
    /// What the catalog keeps of its secret.
    pub secret_sha256: [u8; 32],
}

impl FreshApiKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        let id = ApiKeyId::new();
        let secret = hex(&rand::random::<[u8; 32]>());
        Self {
            id,
            text: format!("{id}_{secret}"),
            secret_sha256: digest_of(&secret),
        }
    }
}

/// A key that somebody shows.
pub(crate) struct ShownKey<'a> {
    /// Its id.
    pub(crate) id: ApiKeyId,
    secret: &'a str,
}

impl<'a> ShownKey<'a> {
    /// The parts of a key; `None` if the text isn't one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (id, rest) = text.split_at_checked(ID_BYTES)?;
        Some(Self {
            id: id.parse().ok()?,
            secret: rest.strip_prefix('_')?,
        })
    }

    /// Whether it is this key, and still good. How long that takes tells nothing of the secret.
    pub(crate) fn is_good(&self, key: &ApiKey, now: Timestamp) -> bool {
        let is_same = constant_time::verify_slices_are_equal(&digest_of(self.secret), &key.secret_sha256).is_ok();
        let is_over = key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now);
        is_same && !is_over
    }
}

fn digest_of(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use reelway_domain::Tenant;

    use super::*;

    fn kept(fresh: &FreshApiKey) -> ApiKey {
        ApiKey {
            id: fresh.id,
            tenant: Tenant::single(),
            name: String::new(),
            secret_sha256: fresh.secret_sha256,
            scopes: Vec::new(),
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }

    #[test]
    fn a_key_is_good_until_it_ends() {
        let fresh = FreshApiKey::generate();
        let shown = ShownKey::parse(&fresh.text).unwrap();
        let key = kept(&fresh);
        assert_eq!(shown.id, fresh.id);
        assert!(shown.is_good(&key, Timestamp(10)));
        let ends = |expires_at, revoked_at| ApiKey {
            expires_at,
            revoked_at,
            ..key.clone()
        };
        assert!(shown.is_good(&ends(Some(Timestamp(11)), None), Timestamp(10)));
        assert!(!shown.is_good(&ends(Some(Timestamp(10)), None), Timestamp(10)));
        assert!(!shown.is_good(&ends(None, Some(Timestamp(1))), Timestamp(10)));
    }

    #[test]
    fn another_secret_is_not_the_key() {
        let (fresh, other) = (FreshApiKey::generate(), FreshApiKey::generate());
        assert_ne!(fresh.text, other.text);
        let mixed = format!("{}{}", fresh.id, &other.text[ID_BYTES..]);
        for text in [&*mixed, &format!("{}0", fresh.text), &format!("{}_", fresh.id)] {
            assert!(
                !ShownKey::parse(text).unwrap().is_good(&kept(&fresh), Timestamp(0)),
                "{text}"
            );
        }
        for text in ["", "rwk_", &fresh.id.to_string(), &fresh.text.to_uppercase(), "rwk_é"] {
            assert!(ShownKey::parse(text).is_none(), "{text}");
        }
    }
}
