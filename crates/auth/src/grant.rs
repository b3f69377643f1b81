//! Grants as texts: `rwg_` and what was signed. Nothing is kept of them; whoever has the text has the grant until it ends.
//!
//! The payload is, with numbers in network order: when it ends in milliseconds since 1970 (8 bytes), the length of the upload in
//! bytes or -1 (8), the id of the upload (36), the length of the tenant's name (1), that name, and the media type.

use std::time::Duration;

use reelway_domain::{Failure, Reason, Tenant, Timestamp, UploadId};

use crate::{Access, Identity, SigningKeys, UploadGrant, auth::not_valid, signing::Purpose};

/// What every grant begins with.
pub(crate) const PREFIX: &str = "rwg_";
/// How far the clocks of two servers may be apart.
const LEEWAY: Duration = Duration::from_secs(5);
/// How long the id of an upload is, in bytes.
const ID_BYTES: usize = 36;

/// A grant as a text.
pub(crate) fn write(keys: &SigningKeys, tenant: &Tenant, grant: &UploadGrant) -> String {
    let name = tenant.as_str().as_bytes();
    let mut payload = Vec::with_capacity(128);
    payload.extend(grant.expires_at.0.to_be_bytes());
    payload.extend(grant.size.unwrap_or(-1).to_be_bytes());
    payload.extend(grant.upload.to_string().into_bytes());
    // Names are at most 64 bytes; a longer one could only make a grant that isn't read.
    payload.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    payload.extend(name);
    payload.extend(grant.content_type.as_bytes());
    format!("{PREFIX}{}", keys.sign(Purpose::Grant, &payload))
}

/// Who holds this text.
///
/// # Errors
/// `CREDENTIALS_INVALID` if it is no grant from here, or over.
pub(crate) fn read(keys: &SigningKeys, text: &str, now: Timestamp) -> Result<Identity, Failure> {
    let signed = text.strip_prefix(PREFIX).ok_or_else(not_valid)?;
    let payload = keys.verified(Purpose::Grant, signed).ok_or_else(not_valid)?;
    let (tenant, grant) = parse(&payload).ok_or_else(not_valid)?;
    if is_over(grant.expires_at, now) {
        // It was good once, so its holder may know.
        return Err(Failure::new(
            Reason::CredentialsInvalid,
            "the upload grant has ended; ask for another",
        ));
    }
    Ok(Identity {
        tenant,
        access: Access::Grant(grant),
    })
}

/// Whether something that was signed has ended.
pub(crate) fn is_over(expires_at: Timestamp, now: Timestamp) -> bool {
    let leeway_ms = i64::try_from(LEEWAY.as_millis()).unwrap_or(0);
    expires_at.0.saturating_add(leeway_ms) <= now.0
}

fn parse(payload: &[u8]) -> Option<(Tenant, UploadGrant)> {
    let (expires_at, rest) = payload.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (upload, rest) = rest.split_at_checked(ID_BYTES)?;
    let (name_bytes, rest) = rest.split_first()?;
    let (name, content_type) = rest.split_at_checked(usize::from(*name_bytes))?;
    let upload: UploadId = str::from_utf8(upload).ok()?.parse().ok()?;
    let size = i64::from_be_bytes(*size);
    let grant = UploadGrant {
        upload,
        size: (size >= 0).then_some(size),
        content_type: str::from_utf8(content_type).ok()?.to_owned(),
        expires_at: Timestamp(i64::from_be_bytes(*expires_at)),
    };
    Some((Tenant::named(str::from_utf8(name).ok()?).ok()?, grant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn grant(size: Option<i64>) -> UploadGrant {
        UploadGrant {
            upload: UploadId::new(),
            size,
            content_type: "video/mp4; codecs=\"a\"".to_owned(),
            expires_at: Timestamp(NOW.0 + 1),
        }
    }

    fn reason(keys: &SigningKeys, text: &str) -> Option<Reason> {
        read(keys, text, NOW).err().map(|failure| failure.reason)
    }

    #[test]
    fn a_grant_is_read_as_it_was_written() {
        let (keys, tenant) = (SigningKeys::random(), Tenant::named("acme").unwrap());
        for size in [None, Some(0), Some(5 << 40)] {
            let grant = grant(size);
            let holder = read(&keys, &write(&keys, &tenant, &grant), NOW).unwrap();
            assert_eq!((holder.tenant, holder.access), (tenant.clone(), Access::Grant(grant)));
        }
    }

    #[test]
    fn a_grant_that_was_changed_anywhere_is_none() {
        let keys = SigningKeys::random();
        let text = write(&keys, &Tenant::single(), &grant(Some(7)));
        for at in 0..text.len() {
            for other in ['A', 'B', '_', '.'] {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert_eq!(
                    reason(&keys, &changed),
                    Some(Reason::CredentialsInvalid),
                    "{at}: {other}"
                );
            }
            assert_eq!(
                reason(&keys, &text[..at]),
                Some(Reason::CredentialsInvalid),
                "cut at {at}"
            );
        }
        assert_eq!(reason(&keys, &format!("{text}A")), Some(Reason::CredentialsInvalid));
        assert_eq!(reason(&SigningKeys::random(), &text), Some(Reason::CredentialsInvalid));
        assert_eq!(reason(&keys, &text), None);
    }

    #[test]
    fn a_grant_ends_a_little_after_its_time() {
        let keys = SigningKeys::random();
        let text = write(&keys, &Tenant::single(), &grant(None));
        let at = |ms| read(&keys, &text, Timestamp(NOW.0 + ms));
        assert!(at(5_000).is_ok(), "clocks differ");
        let over = at(5_001).unwrap_err();
        assert!(over.message.contains("ended"), "{over}");
    }

    #[test]
    fn what_was_signed_for_playback_is_no_grant() {
        let keys = SigningKeys::random();
        let payload = keys.sign(Purpose::Playback, &[0; 60]);
        assert_eq!(
            reason(&keys, &format!("{PREFIX}{payload}")),
            Some(Reason::CredentialsInvalid)
        );
    }
}
