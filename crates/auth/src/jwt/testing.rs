//! An identity provider for tests: keys, tokens, and the address where it publishes the keys.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// What the tests' tokens are for.
pub(super) const ISSUER: &str = "https://id.example";
pub(super) const AUDIENCE: &str = "reelway";
/// What stands in front of the key itself in the PKCS #8 form of an RSA key of 2048 bits.
const PKCS8_HEAD_BYTES: usize = 26;

/// A key of the provider's.
pub(super) struct SigningKey {
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    pub(super) secret: EncodingKey,
}

impl SigningKey {
    pub(super) fn ec(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::ES256,
            secret: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()),
        }
    }

    pub(super) fn rsa(id: &str) -> Self {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let pkcs8 = pair.as_der().unwrap();
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::RS256,
            secret: EncodingKey::from_rsa_der(&pkcs8.as_ref()[PKCS8_HEAD_BYTES..]),
        }
    }

    /// As it is published.
    pub(super) fn public(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.secret, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(super) fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        header
    }

    /// A token with good claims, but for these.
    pub(super) fn token(&self, changes: &Value) -> String {
        sign(&self.header(), changes, &self.secret)
    }
}

/// A token with good claims, but for these; `null` leaves one out.
pub(super) fn sign(header: &Header, changes: &Value, key: &EncodingKey) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": get_current_timestamp() + 600, "tenant": "acme", "scope": "openid jobs:read",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    jsonwebtoken::encode(header, &claims, key).unwrap()
}

/// The set of these keys.
pub(super) fn set_of(keys: &[&SigningKey]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.public()).collect();
    json!({ "keys": keys }).to_string()
}

/// Publishes keys over HTTP.
#[derive(Clone, Default)]
pub(super) struct Publisher {
    /// What is published; nothing: it answers with an error.
    pub(super) set: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    /// Starts to publish. Gives the address.
    pub(super) async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                this.asked.fetch_add(1, Ordering::SeqCst);
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
                let answer = this.answer();
                // A client that has gone away doesn't want it.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    pub(super) fn publish(&self, set: Option<String>) {
        *self.set.lock().unwrap() = set;
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer(&self) -> String {
        let set = self.set.lock().unwrap().clone();
        let (status, body) = set.map_or(("503 Unavailable", String::new()), |set| ("200 OK", set));
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }
}
