//! `Content-Digest`, `Repr-Digest` and `Want-Repr-Digest` (RFC 9530).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use reelway_domain::Failure;
use reelway_rpc::request::violation;
use sfv::{Dictionary, ListEntry, Parser};

use crate::append::{Algorithm, Expected};

/// A digest of this request's content.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// A digest of all that is uploaded.
pub(super) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// Which digests the client would like to be told.
const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");
const SHA256: &str = "sha-256";
const SHA512: &str = "sha-512";
/// The length of a SHA-256.
const SHA256_BYTES: usize = 32;

/// What the content of a request must be; `None` if nothing is said of it, or only in algorithms that aren't known here.
///
/// # Errors
/// `FIELD_INVALID` if the field can't be read: whoever sends a digest wants it to be verified.
pub(super) fn content(headers: &HeaderMap) -> Result<Option<Expected>, Failure> {
    let digest = content_digest(headers)?;
    Ok(digest.map(|digest| Expected {
        digest: Some(digest),
        candidates: &[Algorithm::Sha256, Algorithm::Sha512],
        from_trailers: content_digest,
    }))
}

fn content_digest(headers: &HeaderMap) -> Result<Option<(Algorithm, Vec<u8>)>, Failure> {
    let digests = dictionary(headers, &CONTENT_DIGEST)?;
    for (name, algorithm) in [(SHA256, Algorithm::Sha256), (SHA512, Algorithm::Sha512)] {
        if let Some(digest) = bytes(&digests, name, &CONTENT_DIGEST)? {
            return Ok(Some((algorithm, digest)));
        }
    }
    Ok(None)
}

/// The SHA-256 that the whole upload must have; empty if none is told.
///
/// # Errors
/// `FIELD_INVALID` if the field can't be read, or is not as long as a SHA-256.
pub(super) fn representation(headers: &HeaderMap) -> Result<Bytes, Failure> {
    let digests = dictionary(headers, &REPR_DIGEST)?;
    match bytes(&digests, SHA256, &REPR_DIGEST)? {
        None => Ok(Bytes::new()),
        Some(digest) if digest.len() == SHA256_BYTES => Ok(digest.into()),
        Some(_) => Err(invalid(&REPR_DIGEST, "sha-256 must have 32 bytes")),
    }
}

/// Whether the client would like to hear the SHA-256 of the whole upload, or at least has nothing against it. What can't be
/// read is no wish.
pub(super) fn is_welcome(headers: &HeaderMap) -> bool {
    let wishes = dictionary(headers, &WANT_REPR_DIGEST).unwrap_or_default();
    let Some(ListEntry::Item(wish)) = wishes.get(SHA256) else {
        return wishes.is_empty();
    };
    wish.bare_item.as_integer().is_some_and(|weight| i64::from(weight) > 0)
}

/// A SHA-256 as `Repr-Digest`.
pub(super) fn sha256(digest: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{SHA256}=:{}:", STANDARD.encode(digest))).ok()
}

/// All lines of a Dictionary field.
fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Result<Dictionary, Failure> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let read = Parser::new(&lines.join(&b", "[..])).parse();
    read.map_err(|error| invalid(name, &format!("is not a Dictionary of RFC 9651: {error}")))
}

/// The Byte Sequence of one algorithm.
fn bytes(digests: &Dictionary, algorithm: &str, field: &HeaderName) -> Result<Option<Vec<u8>>, Failure> {
    let Some(entry) = digests.get(algorithm) else {
        return Ok(None);
    };
    let digest = match entry {
        ListEntry::Item(item) => item.bare_item.as_byte_sequence(),
        ListEntry::InnerList(_) => None,
    };
    match digest {
        Some(digest) => Ok(Some(digest.to_vec())),
        None => Err(invalid(
            field,
            &format!("{algorithm} must be a Byte Sequence, :base64:"),
        )),
    }
}

fn invalid(field: &HeaderName, description: &str) -> Failure {
    Failure::invalid(vec![violation(field.as_str(), description)])
}

#[cfg(test)]
mod tests {
    use reelway_domain::Reason;

    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn r25_known_algorithms_are_found_among_others() {
        let read = |values: &[&'static str]| content_digest(&headers(&CONTENT_DIGEST, values)).ok();
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&["sha-256=:AQI=:"]), Some(Some((Algorithm::Sha256, vec![1, 2]))));
        assert_eq!(read(&["sha-512=:AQI=:"]), Some(Some((Algorithm::Sha512, vec![1, 2]))));
        let both = read(&["md5=:AAAA:, sha-512=:AQI=:", "sha-256=:Aw==:"]);
        assert_eq!(
            both,
            Some(Some((Algorithm::Sha256, vec![3]))),
            "two lines are one Dictionary"
        );
        assert_eq!(read(&["md5=:AAAA:, unixsum=:AA==:"]), Some(None), "others are ignored");
        for wrong in [
            "sha-256=AQI=",
            "sha-256",
            "sha-256=(:AQI=:)",
            "sha-256=:AQI",
            "=",
            "sha-256=\"AQI=\"",
        ] {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn r25_a_sha256_of_the_whole_has_32_bytes() {
        let read = |value: &'static str| representation(&headers(&REPR_DIGEST, &[value]));
        assert_eq!(
            read("sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:").unwrap(),
            vec![0; 32]
        );
        assert_eq!(read("sha-512=:AAAA:").unwrap(), Bytes::new());
        assert_eq!(read("sha-256=:AAAA:").unwrap_err().reason, Reason::FieldInvalid);
        assert!(read("sha-256=:AAAA:").unwrap_err().violations[0].field == "repr-digest");
    }

    #[test]
    fn r25_a_digest_is_told_to_who_wants_it() {
        let wanted = |values: &[&'static str]| is_welcome(&headers(&WANT_REPR_DIGEST, values));
        assert!(wanted(&[]) && wanted(&["sha-256=10"]) && wanted(&["sha-512=3, sha-256=1"]));
        assert!(!wanted(&["sha-256=0"]) && !wanted(&["sha-512=3"]) && !wanted(&["sha-256"]));
        assert_eq!(sha256(&[1, 2]).unwrap(), "sha-256=:AQI=:");
    }
}
