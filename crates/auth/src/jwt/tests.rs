use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, get_current_timestamp};
use serde_json::json;
use tempfile::NamedTempFile;

use super::{
    jwks::Ages,
    testing::{AUDIENCE, ISSUER, Publisher, SigningKey, set_of, sign},
    *,
};
use crate::{Access, Scope};

fn settings(jwks: JwksSource) -> JwtSettings {
    JwtSettings {
        jwks,
        issuers: vec![ISSUER.to_owned()],
        audiences: vec!["another".to_owned(), AUDIENCE.to_owned()],
        algorithms: JwtSettings::ALGORITHMS.to_vec(),
        leeway: JwtSettings::LEEWAY,
        tenant_claim: JwtSettings::TENANT_CLAIM.to_owned(),
        scope_claim: JwtSettings::SCOPE_CLAIM.to_owned(),
    }
}

/// A judge who knows these keys.
fn knowing(set: &str) -> (Jwt, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), set).unwrap();
    let source = JwksSource::File(file.path().to_owned());
    source.check().unwrap();
    (Jwt::new(settings(source)).unwrap(), file)
}

/// A judge who asks there, as often as this allows.
fn asking(url: &str, max: Duration, ask_every_min: Duration) -> Jwt {
    let source: JwksSource = url.parse().unwrap();
    let ages = Ages { max, ask_every_min };
    Jwt {
        jwks: Arc::new(Jwks::with_ages(source.clone(), ages).unwrap()),
        settings: settings(source),
    }
}

const LONG: Duration = Duration::from_secs(3600);

async fn reason(jwt: &Jwt, token: &str) -> Option<Reason> {
    jwt.identify(token).await.err().map(|failure| failure.reason)
}

#[tokio::test]
async fn a_good_token_is_its_tenant_with_its_scopes() {
    let keys = [SigningKey::ec("e"), SigningKey::rsa("r")];
    let (jwt, _file) = knowing(&set_of(&[&keys[0], &keys[1]]));
    for key in &keys {
        let identity = jwt.identify(&key.token(&json!({}))).await.unwrap();
        assert_eq!(identity.tenant.as_str(), "acme");
        assert_eq!(identity.access, Access::Scoped([Scope::JobsRead].into_iter().collect()));
        assert!(jwt.identify(&key.token(&json!({"aud": ["x", AUDIENCE]}))).await.is_ok());
    }
}

#[tokio::test]
async fn claims_must_be_there_and_right() {
    let key = SigningKey::ec("e");
    let (jwt, _file) = knowing(&set_of(&[&key]));
    let now = get_current_timestamp();
    for changes in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"aud": "elsewhere"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"exp": now - 31}),
        json!({"nbf": now + 60}),
        json!({"tenant": null}),
        json!({"tenant": "a/b"}),
    ] {
        assert_eq!(
            reason(&jwt, &key.token(&changes)).await,
            Some(Reason::CredentialsInvalid),
            "{changes}"
        );
    }
    for changes in [json!({"exp": now - 10}), json!({"nbf": now + 10})] {
        assert_eq!(
            reason(&jwt, &key.token(&changes)).await,
            None,
            "clocks differ: {changes}"
        );
    }
    let expired = jwt.identify(&key.token(&json!({"exp": now - 60}))).await.unwrap_err();
    assert!(expired.message.contains("expired"), "{expired}");
}

#[tokio::test]
async fn a_token_that_was_changed_anywhere_is_none() {
    let key = SigningKey::ec("e");
    let (jwt, _file) = knowing(&set_of(&[&key]));
    let token = key.token(&json!({}));
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(
            reason(&jwt, &changed).await,
            Some(Reason::CredentialsInvalid),
            "{at}: {changed}"
        );
    }
    let (_, signature) = token.rsplit_once('.').unwrap();
    let other = key.token(&json!({"tenant": "victim"}));
    let (message, _) = other.rsplit_once('.').unwrap();
    assert!(jwt.identify(&format!("{message}.{signature}")).await.is_err());
    assert!(jwt.identify(&format!("{message}.")).await.is_err());
}

#[tokio::test]
async fn an_unsigned_token_is_none() {
    let key = SigningKey::ec("e");
    let (jwt, _file) = knowing(&set_of(&[&key]));
    let token = key.token(&json!({}));
    let claims = token.split('.').nth(1).unwrap();
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "kid": "e"}).to_string());
        for signature in ["", "AAAA"] {
            let unsigned = format!("{header}.{claims}.{signature}");
            assert_eq!(
                reason(&jwt, &unsigned).await,
                Some(Reason::CredentialsInvalid),
                "{algorithm}"
            );
        }
    }
}

/// The public key is no secret, so whoever signs with it as if it were one is nobody (RFC 8725, 2.1).
#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    let key = SigningKey::rsa("r");
    let shared = json!({"kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode("0123456789abcdef0123456789abcdef")});
    let set = json!({"keys": [key.public(), shared]}).to_string();
    let (jwt, _file) = knowing(&set);
    let public = key.public();
    let modulus = URL_SAFE_NO_PAD.decode(public["n"].as_str().unwrap()).unwrap();
    for secret in [
        &modulus[..],
        public.to_string().as_bytes(),
        public["n"].as_str().unwrap().as_bytes(),
    ] {
        let mut header = key.header();
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            header.alg = algorithm;
            let token = sign(&header, &json!({}), &EncodingKey::from_secret(secret));
            assert_eq!(
                reason(&jwt, &token).await,
                Some(Reason::CredentialsInvalid),
                "{algorithm:?}"
            );
        }
    }
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("s".to_owned());
    let token = sign(
        &header,
        &json!({}),
        &EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef"),
    );
    assert!(
        jwt.identify(&token).await.is_err(),
        "a secret that is published is none"
    );
}

#[tokio::test]
async fn only_listed_algorithms_with_fitting_keys_count() {
    let (ec, rsa) = (SigningKey::ec("e"), SigningKey::rsa("r"));
    let (mut jwt, _file) = knowing(&set_of(&[&ec, &rsa]));
    let mut other_kind = rsa.header();
    other_kind.kid = Some("e".to_owned());
    assert!(jwt.identify(&sign(&other_kind, &json!({}), &rsa.secret)).await.is_err());
    let mut other_hash = rsa.header();
    other_hash.alg = Algorithm::RS512;
    let token = sign(&other_hash, &json!({}), &rsa.secret);
    jwt.settings.algorithms.push("RS512".parse().unwrap());
    assert!(
        jwt.identify(&token).await.is_err(),
        "the issuer says the key is for RS256"
    );
    jwt.settings.algorithms = vec![JwtAlgorithm::ES256];
    assert!(jwt.identify(&rsa.token(&json!({}))).await.is_err());
    assert!(jwt.identify(&ec.token(&json!({}))).await.is_ok());
    let mut critical = ec.header();
    critical.crit = Some(vec!["exp".to_owned()]);
    assert!(jwt.identify(&sign(&critical, &json!({}), &ec.secret)).await.is_err());
}

#[tokio::test]
async fn a_token_that_names_no_key_means_the_only_one() {
    let (first, second) = (SigningKey::ec("1"), SigningKey::ec("2"));
    let mut header = first.header();
    header.kid = None;
    let token = sign(&header, &json!({}), &first.secret);
    let (one, _file) = knowing(&set_of(&[&first]));
    assert_eq!(reason(&one, &token).await, None);
    let (two, _file) = knowing(&set_of(&[&first, &second]));
    assert_eq!(
        reason(&two, &token).await,
        Some(Reason::CredentialsInvalid),
        "it could be either"
    );
}

#[tokio::test]
async fn a_new_key_is_asked_for_and_an_old_one_forgotten() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let publisher = Publisher::default();
    publisher.publish(Some(set_of(&[&old])));
    let jwt = asking(&publisher.start().await, LONG, Duration::ZERO);
    assert_eq!(publisher.asked(), 0, "nothing is fetched before it is needed");
    assert_eq!(reason(&jwt, &old.token(&json!({}))).await, None);
    assert_eq!(reason(&jwt, &old.token(&json!({}))).await, None);
    assert_eq!(publisher.asked(), 1);
    publisher.publish(Some(set_of(&[&new])));
    assert_eq!(reason(&jwt, &new.token(&json!({}))).await, None);
    assert_eq!(publisher.asked(), 2);
    assert_eq!(
        reason(&jwt, &old.token(&json!({}))).await,
        Some(Reason::CredentialsInvalid)
    );
}

#[tokio::test]
async fn unknown_keys_dont_make_the_issuer_work() {
    let (known, made_up) = (SigningKey::ec("known"), SigningKey::ec("made up"));
    let publisher = Publisher::default();
    publisher.publish(Some(set_of(&[&known])));
    let jwt = asking(&publisher.start().await, LONG, LONG);
    for _ in 0..5 {
        assert_eq!(
            reason(&jwt, &made_up.token(&json!({}))).await,
            Some(Reason::CredentialsInvalid)
        );
    }
    let token = known.token(&json!({}));
    let many = (0..20).map(|_| jwt.identify(&token));
    assert!(join_all(many).await.iter().all(Result::is_ok));
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_fault_of_the_callers() {
    let key = SigningKey::ec("e");
    let publisher = Publisher::default();
    let jwt = asking(&publisher.start().await, Duration::ZERO, Duration::ZERO);
    let token = key.token(&json!({}));
    assert_eq!(reason(&jwt, &token).await, Some(Reason::ServiceUnavailable));
    publisher.publish(Some("<html>".to_owned()));
    assert_eq!(reason(&jwt, &token).await, Some(Reason::ServiceUnavailable));
    publisher.publish(Some(set_of(&[&key])));
    assert_eq!(reason(&jwt, &token).await, None);
    publisher.publish(None);
    assert_eq!(reason(&jwt, &token).await, None, "the keys that are here stay");
}

#[tokio::test]
async fn old_keys_are_replaced_while_nobody_waits() {
    let key = SigningKey::ec("e");
    let publisher = Publisher::default();
    publisher.publish(Some(set_of(&[&key])));
    let jwt = asking(&publisher.start().await, Duration::ZERO, LONG);
    let token = key.token(&json!({}));
    assert_eq!(reason(&jwt, &token).await, None);
    publisher.publish(Some(set_of(&[&SigningKey::ec("other")])));
    let forgotten = async {
        while jwt.identify(&token).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.unwrap();
}
