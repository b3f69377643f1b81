//! Upload-Checksum: as a header, or as a trailer of a body that is hashed while it is sent.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use reelway_domain::Failure;

use super::fields::{self, UPLOAD_CHECKSUM, wrong};
use crate::append::{Algorithm, Expected};

/// The algorithms, as Tus-Checksum-Algorithm lists them.
pub(super) const ALGORITHMS: HeaderValue = HeaderValue::from_static("sha1,sha256,md5,crc32c");
const CANDIDATES: &[Algorithm] = &[Algorithm::Sha1, Algorithm::Sha256, Algorithm::Md5, Algorithm::Crc32c];

/// What the body must be; `None` if the client says nothing of it.
///
/// # Errors
/// `FIELD_INVALID` if the header can't be read or names another algorithm.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Failure> {
    let digest = digest(headers)?;
    let is_expected = digest.is_some() || is_announced(headers);
    Ok(is_expected.then_some(Expected {
        digest,
        candidates: CANDIDATES,
        from_trailers: self::digest,
    }))
}

/// The algorithm and the digest. A digest of another length than the algorithm's is only wrong: it is the body's then, too.
fn digest(headers: &HeaderMap) -> Result<Option<(Algorithm, Vec<u8>)>, Failure> {
    let Some(text) = fields::text(headers, &UPLOAD_CHECKSUM)? else {
        return Ok(None);
    };
    let (algorithm, encoded) = text.split_once(' ').ok_or_else(|| {
        wrong(
            &UPLOAD_CHECKSUM,
            "must be an algorithm, a space, and the digest in base64",
        )
    })?;
    let algorithm = match algorithm {
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "md5" => Algorithm::Md5,
        "crc32c" => Algorithm::Crc32c,
        _ => {
            return Err(wrong(
                &UPLOAD_CHECKSUM,
                "the algorithm must be one of sha1, sha256, md5, crc32c",
            ));
        }
    };
    match STANDARD.decode(encoded.trim()) {
        Ok(digest) if !digest.is_empty() => Ok(Some((algorithm, digest))),
        _ => Err(wrong(&UPLOAD_CHECKSUM, "the digest must be base64")),
    }
}

/// Whether a trailer will tell (RFC 9110, section 6.6.2).
fn is_announced(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::TRAILER).iter();
    let mut names = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    names.any(|name| name.trim().eq_ignore_ascii_case(UPLOAD_CHECKSUM.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Option<(Algorithm, Vec<u8>)> {
        let headers = HeaderMap::from_iter([(UPLOAD_CHECKSUM, HeaderValue::from_static(value))]);
        digest(&headers).ok().flatten()
    }

    #[test]
    fn cs5_two_fields_and_base64() {
        assert_eq!(read("sha1 AQI="), Some((Algorithm::Sha1, vec![1, 2])));
        assert_eq!(read("crc32c AQIDBA=="), Some((Algorithm::Crc32c, vec![1, 2, 3, 4])));
        for wrong in ["sha1", "sha1 ", "sha1 ***", "SHA1 AQI=", "sha512 AQI=", "AQI= sha1", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn cs7_a_trailer_is_announced_among_others() {
        let announced = |value| {
            is_announced(&HeaderMap::from_iter([(
                header::TRAILER,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(announced("Upload-Checksum") && announced("Expires, upload-checksum"));
        assert!(!announced("Upload-Checksums") && !announced(""));
    }

    #[test]
    fn cs1_every_algorithm_that_is_listed_is_known() {
        let listed = ALGORITHMS;
        let listed: Vec<_> = listed.to_str().unwrap().split(',').collect();
        assert_eq!(listed.len(), CANDIDATES.len());
        for (name, candidate) in listed.iter().zip(CANDIDATES) {
            let text = format!("{name} AQI=");
            let headers = HeaderMap::from_iter([(UPLOAD_CHECKSUM, HeaderValue::try_from(text).unwrap())]);
            assert_eq!(digest(&headers).unwrap().unwrap().0, *candidate);
        }
    }
}
