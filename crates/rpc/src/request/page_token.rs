//! Page tokens: opaque to clients, and good only for the list that gave them.

use std::{fmt::Display, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reelway_domain::{Failure, Reason};

/// The first byte of every token. A token of another form is refused instead of misread.
const VERSION: u8 = 1;
/// The length of the version and the checksum before the id, in bytes.
const HEAD_BYTES: usize = 5;

/// A token that continues a list after the entry `after`. `filters` are all the values that the list was asked with,
/// always in the same order.
///
/// The checksum guards against mistakes, not against forgery: a made-up token can only ask for what its caller may see.
#[must_use]
pub fn encode(after: impl Display, filters: &[&str]) -> String {
    let id = after.to_string();
    let mut token = vec![VERSION];
    token.extend(checksum(&id, filters).to_be_bytes());
    token.extend(id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(token)
}

/// The entry after which the list goes on; `None` for the first page, which an empty token asks for.
///
/// # Errors
/// `PAGE_TOKEN_INVALID` if [`encode`] didn't make this token for the same filters.
pub fn decode<I: FromStr>(token: &str, filters: &[&str]) -> Result<Option<I>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    match entry(token, filters) {
        Some(id) => Ok(Some(id)),
        None => {
            let message = "page_token is not one that this list gave for the same filters; begin without one";
            Err(Failure::new(Reason::PageTokenInvalid, message))
        }
    }
}

fn entry<I: FromStr>(token: &str, filters: &[&str]) -> Option<I> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let (head, id) = bytes.split_at_checked(HEAD_BYTES)?;
    let id = str::from_utf8(id).ok()?;
    let (version, sum) = head.split_first()?;
    let valid = *version == VERSION && *sum == checksum(id, filters).to_be_bytes();
    valid.then(|| id.parse().ok())?
}

fn checksum(id: &str, filters: &[&str]) -> u32 {
    filters.iter().fold(crc32c::crc32c(id.as_bytes()), |sum, filter| {
        // The length keeps `["a", ""]` and `["", "a"]` apart.
        let sum = crc32c::crc32c_append(sum, &filter.len().to_be_bytes());
        crc32c::crc32c_append(sum, filter.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use reelway_domain::JobId;

    use super::*;

    #[test]
    fn tokens_round_trip() {
        let id = JobId::new();
        assert_eq!(decode(&encode(id, &["queued", ""]), &["queued", ""]), Ok(Some(id)));
        assert_eq!(decode::<JobId>("", &["queued"]), Ok(None));
    }

    #[test]
    fn other_tokens_are_refused() {
        let token = encode(JobId::new(), &["queued", ""]);
        for filters in [&["failed", ""][..], &["", "queued"], &["queued"]] {
            assert_eq!(
                decode::<JobId>(&token, filters).unwrap_err().reason,
                Reason::PageTokenInvalid
            );
        }
        let mut altered = token.clone().into_bytes();
        altered[12] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        for token in ["1", "x", "AQ", &token[1..], &altered, &format!("{token}AA")] {
            assert!(decode::<JobId>(token, &["queued", ""]).is_err(), "{token}");
        }
        assert!(
            decode::<reelway_domain::UploadId>(&token, &["queued", ""]).is_err(),
            "another kind of id"
        );
    }
}
