//! The query of a URL, as it is understood and as it is signed.

use hyper::Uri;
use url::form_urlencoded;

/// Names and values, decoded, in their order.
#[derive(Debug, Clone)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let text = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value of a parameter. One that has none has an empty one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// Whether it says who has signed the URL.
    pub(super) fn is_signed(&self) -> bool {
        self.get("X-Goog-Algorithm").is_some()
    }

    /// The parameters besides the signature's own.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().filter(|(name, _)| !name.starts_with("X-Goog-"));
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As it is signed: all parameters but the signature, sorted, each byte escaped that isn't plain
    /// (<https://cloud.google.com/storage/docs/authentication/canonical-requests#about-query-strings>).
    pub(super) fn canonical(&self) -> String {
        let all = self.0.iter().filter(|(name, _)| name != "X-Goog-Signature");
        let mut pairs: Vec<_> = all.map(|(name, value)| (escaped(name), escaped(value))).collect();
        pairs.sort();
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    }
}

/// With each byte escaped that isn't a letter, a digit or one of `-._~`.
pub(super) fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
