//! URLs that are signed (V4, RSA): <https://cloud.google.com/storage/docs/access-control/signed-urls>.

use std::time::{Duration, SystemTime};

use hyper::{HeaderMap, StatusCode, http::request::Parts};
use sha2::{Digest as _, Sha256};

use super::{account::Account, query::Query, refusal::Refusal};

/// The only algorithm that an account's key is for.
const ALGORITHM: &str = "GOOG4-RSA-SHA256";
/// The host that URLs are signed for, wherever this listens.
const HOST: &str = "storage.googleapis.com";
/// The longest life of a URL.
const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Checks that the account has signed the request and that it still may be made.
pub(super) fn check(account: &Account, head: &Parts, query: &Query) -> Result<(), Refusal> {
    let given = |name: &str| query.get(name).ok_or_else(|| malformed(name));
    let (date, credential) = (given("X-Goog-Date")?, given("X-Goog-Credential")?);
    if given("X-Goog-Algorithm")? != ALGORITHM {
        return Err(malformed("X-Goog-Algorithm"));
    }
    let scope = format!("{}/auto/storage/goog4_request", date.get(..8).unwrap_or_default());
    if credential != format!("{}/{scope}", account.email()) {
        return Err(malformed("X-Goog-Credential"));
    }
    let life = given("X-Goog-Expires")?.parse().map(Duration::from_secs);
    let life = life.map_err(|_| malformed("X-Goog-Expires"))?;
    if life > LIFE_MAX {
        return Err(malformed("X-Goog-Expires"));
    }
    let (names, signature) = (given("X-Goog-SignedHeaders")?, unhex(given("X-Goog-Signature")?));
    let request = format!(
        "{}\n{}\n{}\n{}\n\n{names}\nUNSIGNED-PAYLOAD",
        head.method,
        head.uri.path(),
        query.canonical(),
        canonical(&head.headers, names).ok_or_else(|| malformed("X-Goog-SignedHeaders"))?,
    );
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    if !signature.is_some_and(|signature| account.has_signed(to_sign.as_bytes(), &signature)) {
        let message = "Access denied. The request signature we calculated does not match the signature you provided.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message));
    }
    let ends = moment(date).ok_or_else(|| malformed("X-Goog-Date"))? + life;
    if SystemTime::now() >= ends {
        let message = "The provided token has expired.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "ExpiredToken", message));
    }
    Ok(())
}

fn malformed(what: &str) -> Refusal {
    let message = format!("{what} is missing or not as it must be.");
    Refusal::new(StatusCode::BAD_REQUEST, "AuthenticationQueryParametersError", message)
}

/// The headers that are signed, which must all be there; the host is the service's.
fn canonical(headers: &HeaderMap, names: &str) -> Option<String> {
    let lines = names.split(';').map(|name| match name {
        "host" => Some(format!("host:{HOST}")),
        name => Some(format!("{name}:{}", headers.get(name)?.to_str().ok()?.trim())),
    });
    let lines: Option<Vec<_>> = lines.collect();
    lines.map(|lines| lines.join("\n"))
}

/// A moment as `20260131T235959Z` says it.
fn moment(text: &str) -> Option<SystemTime> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let at = |text: &str, from: usize, to: usize| text.get(from..to).map(str::to_owned);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        at(day, 0, 4)?,
        at(day, 4, 6)?,
        at(day, 6, 8)?,
        at(time, 0, 2)?,
        at(time, 2, 4)?,
        at(time, 4, 6)?
    );
    humantime::parse_rfc3339(&text).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
