//! What a request shows of its sender.

use http::{HeaderMap, header::AUTHORIZATION};
use reelway_domain::{Failure, Reason};

use crate::{api_key, auth::not_valid, grant};

/// The longest text that is looked at, in bytes. Tokens with many claims are a few KiB.
const TOKEN_BYTES_MAX: usize = 8 << 10;
/// The one scheme that is known here (RFC 6750).
const SCHEME: &str = "bearer";

/// What a caller shows, by what it looks like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    /// An API key.
    ApiKey(&'a str),
    /// A grant for one upload.
    Grant(&'a str),
    /// A token of somebody else's: a JWT, if anything.
    Token(&'a str),
}

/// Looks for what a request shows.
///
/// # Errors
/// `CREDENTIALS_MISSING` if it shows nothing; `CREDENTIALS_INVALID` if it shows several things, or nothing that is known here.
pub(crate) fn shown(headers: &HeaderMap) -> Result<Shown<'_>, Failure> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    // Two servers on the way could each believe another one.
    if values.next().is_some() {
        return Err(not_valid());
    }
    let text = value.to_str().map_err(|_| not_valid())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(not_valid)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(not_valid());
    }
    Ok(if token.starts_with(api_key::PREFIX) {
        Shown::ApiKey(token)
    } else if token.starts_with(grant::PREFIX) {
        Shown::Grant(token)
    } else {
        Shown::Token(token)
    })
}

fn missing() -> Failure {
    let message = "say who you are: `Authorization: Bearer …` with an API key, a token or an upload grant";
    Failure::new(Reason::CredentialsMissing, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let entry = |value: &&str| (AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        values.iter().map(entry).collect()
    }

    #[test]
    fn what_is_shown_is_told_by_its_looks() {
        for (text, expected) in [
            ("Bearer rwk_a_b", Shown::ApiKey("rwk_a_b")),
            ("bearer rwg_a", Shown::Grant("rwg_a")),
            ("BEARER  a.b.c ", Shown::Token("a.b.c")),
        ] {
            assert_eq!(shown(&headers(&[text])), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nothing_and_nonsense_are_different_failures() {
        assert_eq!(shown(&HeaderMap::new()).unwrap_err().reason, Reason::CredentialsMissing);
        let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
        for values in [
            &["Basic dTpw"][..],
            &["Bearer"],
            &["Bearer "],
            &["rwk_a_b"],
            &[&long],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(
                shown(&headers(values)).unwrap_err().reason,
                Reason::CredentialsInvalid,
                "{values:?}"
            );
        }
    }
}
