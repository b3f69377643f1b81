//! Bearer tokens: who may ask for anything.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::{HeaderMap, Response, StatusCode, header, http::request::Parts};
use serde_json::{Value, json};

use super::{Answer, account::Account, lock, refusal::Refusal, whole};

/// Where a machine asks for its identity
/// (<https://cloud.google.com/compute/docs/metadata/overview>).
const METADATA: &str = "/computeMetadata/v1/instance/service-accounts/default/";
/// How long a token is good that the metadata server gives out.
const LIFE: Duration = Duration::from_secs(3600);
/// The longest life of a token that an account has signed itself, and how far clocks may be apart, in seconds.
const SIGNED_LIFE_SECONDS_MAX: u64 = 3600;
const SKEW_SECONDS_MAX: u64 = 60;
/// Scopes that let everything be done in buckets.
const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/devstorage.full_control",
    "https://www.googleapis.com/auth/devstorage.read_write",
];

/// The tokens that were given out here, with the moments from which on they aren't good any more.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Instant>>);

impl Tokens {
    /// The answer of a machine's metadata server, if that is who is asked.
    pub(super) fn metadata(&self, head: &Parts, email: &str) -> Option<Answer> {
        let what = head.uri.path().strip_prefix(METADATA)?;
        let is_asked_rightly = head.headers.get("metadata-flavor").is_some_and(|said| said == "Google");
        let answer = Response::builder().header("metadata-flavor", "Google");
        Some(match what {
            _ if !is_asked_rightly => whole(answer.status(StatusCode::FORBIDDEN), ""),
            "token" => {
                let token = json!({
                    "access_token": self.give_out(),
                    "expires_in": LIFE.as_secs(),
                    "token_type": "Bearer",
                });
                whole(
                    answer.header(header::CONTENT_TYPE, "application/json"),
                    token.to_string(),
                )
            }
            "email" => whole(answer, email.to_owned()),
            _ => whole(answer.status(StatusCode::NOT_FOUND), ""),
        })
    }

    fn give_out(&self) -> String {
        let token = format!("ya29.{:032x}", rand::random::<u128>());
        lock(&self.0).insert(token.clone(), Instant::now() + LIFE);
        token
    }

    fn has(&self, token: &str) -> bool {
        lock(&self.0).get(token).is_some_and(|until| Instant::now() < *until)
    }
}

/// Checks that a request is the account's.
pub(super) fn check(account: &Account, tokens: &Tokens, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(said) = headers.get(header::AUTHORIZATION) else {
        let message = "Anonymous caller does not have access to the Google Cloud Storage bucket.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", message));
    };
    let token = said.to_str().ok().and_then(|said| said.strip_prefix("Bearer "));
    if token.is_some_and(|token| tokens.has(token) || is_signed(account, token).is_some()) {
        return Ok(());
    }
    let message = "Authentication required.";
    Err(Refusal::new(
        StatusCode::UNAUTHORIZED,
        "AuthenticationRequired",
        message,
    ))
}

/// Whether this is a token that the account has signed itself, with a scope instead of an audience, and that is good now.
fn is_signed(account: &Account, token: &str) -> Option<()> {
    let (message, signature) = token.rsplit_once('.')?;
    let (head, claims) = message.split_once('.')?;
    let decoded = |text: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok() };
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let (head, claims) = (decoded(head)?, decoded(claims)?);
    let is_ours = head["alg"] == "RS256"
        && head["kid"] == account.key_id()
        && claims["iss"] == account.email()
        && claims["sub"] == account.email()
        && account.has_signed(message.as_bytes(), &signature);
    let may = claims["scope"]
        .as_str()?
        .split(' ')
        .any(|scope| SCOPES.contains(&scope));
    let (from, until) = (claims["iat"].as_u64()?, claims["exp"].as_u64()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let is_good = from <= now + SKEW_SECONDS_MAX && now < until && until <= from + SIGNED_LIFE_SECONDS_MAX;
    (is_ours && may && is_good).then_some(())
}
