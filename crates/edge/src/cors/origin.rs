//! Origins, as people write them and as browsers send them.

use std::str::FromStr;

use http::HeaderValue;
use serde::Deserialize;

/// Whoever it is.
const ANY: &str = "*";

/// The origin of pages that may call, for example `https://app.example`; or all of them, written `*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedOrigin(String);

/// A text that names no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must look like https://app.example or http://localhost:3000, without a path, or be * for all of them")]
pub struct OriginError;

impl AllowedOrigin {
    /// Whether it stands for all of them.
    pub(super) fn is_any(&self) -> bool {
        self.0 == ANY
    }

    /// Whether it is the one that a browser names.
    pub(super) fn is_exactly(&self, origin: &HeaderValue) -> bool {
        !self.is_any() && origin.as_bytes() == self.0.as_bytes()
    }
}

impl FromStr for AllowedOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == ANY {
            return Ok(Self(ANY.to_owned()));
        }
        let url = url::Url::parse(text).map_err(|_| OriginError)?;
        // A path of "/" is added to the schemes of the web only.
        let is_origin = url.has_host() && matches!(url.path(), "" | "/") && !text.ends_with('/');
        let is_bare =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        if !is_origin || !is_bare {
            return Err(OriginError);
        }
        // As browsers write it: in small letters, and without the port that the scheme means anyway.
        let host = url.host_str().ok_or(OriginError)?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self(format!("{}://{host}{port}", url.scheme())))
    }
}

impl TryFrom<String> for AllowedOrigin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (text, sent) in [
            ("https://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            let origin: AllowedOrigin = text.parse().unwrap();
            assert!(origin.is_exactly(&HeaderValue::from_static(sent)), "{origin:?}");
        }
        for wrong in [
            "",
            "null",
            "app.example",
            "https://app.example/",
            "https://app.example/path",
            "https://u@app.example",
            "https://*.app.example?",
            "file:///",
        ] {
            assert_eq!(wrong.parse::<AllowedOrigin>(), Err(OriginError), "{wrong}");
        }
        let any: AllowedOrigin = "*".parse().unwrap();
        assert!(any.is_any() && !any.is_exactly(&HeaderValue::from_static("*")));
    }
}
