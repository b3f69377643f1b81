//! A service account, with the key that its tokens and its URLs are signed with.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// How long the lines of a PEM file are.
const PEM_LINE_BYTES: usize = 64;

/// The account.
#[derive(Debug)]
pub(super) struct Account {
    key: KeyPair,
}

impl Account {
    /// The one that all servers of this process know: a key takes a moment to make.
    pub(super) fn of_this_process() -> &'static Self {
        static ACCOUNT: LazyLock<Account> = LazyLock::new(|| Account {
            key: KeyPair::generate(KeySize::Rsa2048).expect("a key"),
        });
        &ACCOUNT
    }

    /// Its name.
    pub(super) fn email(&self) -> &'static str {
        "reelway@tests.iam.gserviceaccount.com"
    }

    /// The name of its key.
    pub(super) fn key_id(&self) -> &'static str {
        "8f2c61d0a94be7350000000000000000c0ffee01"
    }

    /// What Google gives out with a key (<https://cloud.google.com/iam/docs/keys-create-delete>).
    pub(super) fn key_file(&self) -> String {
        let der: Pkcs8V1Der = self.key.as_der().expect("a key that was made here");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(PEM_LINE_BYTES)
            .map(String::from_utf8_lossy)
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        let file = json!({
            "type": "service_account",
            "project_id": "tests",
            "private_key_id": self.key_id(),
            "private_key": pem,
            "client_email": self.email(),
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        });
        file.to_string()
    }

    /// Whether its key has signed this (RSASSA-PKCS1-v1_5 with SHA-256).
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref());
        key.verify(message, signature).is_ok()
    }
}
