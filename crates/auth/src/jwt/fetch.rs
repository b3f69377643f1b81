//! Where an issuer's keys come from.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use reqwest::{Client, redirect::Policy};
use url::{Host, Url};

use super::key_set::{KeySet, KeySetError};

/// How long the issuer may take to answer.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// The longest set of keys, in bytes.
const SET_BYTES_MAX: usize = 256 << 10;

/// Where an issuer's keys are.
#[derive(Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// In a file of this machine. It is read again when a token names a key that wasn't in it.
    File(PathBuf),
    /// At an address.
    Url(Url),
}

/// The issuer's keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// Somebody on the way could give other keys.
    #[error("{0}: keys must come over https, or from this machine")]
    Insecure(JwksSource),
    /// It is an address that can't be called.
    #[error("{0:?} is neither a file nor an address: {1}")]
    Address(String, url::ParseError),
    /// The file can't be read.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The issuer doesn't answer, or with an error.
    #[error("fetch the keys: {0}")]
    Fetch(#[from] reqwest::Error),
    /// What came is too long to be keys.
    #[error("it is longer than {SET_BYTES_MAX} bytes")]
    Long,
    /// What came is no set of keys.
    #[error(transparent)]
    Form(#[from] KeySetError),
}

impl FromStr for JwksSource {
    type Err = JwksError;

    fn from_str(text: &str) -> Result<Self, JwksError> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url = Url::parse(text).map_err(|error| JwksError::Address(text.to_owned(), error))?;
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if is_here(&url) => Ok(Self::Url(url)),
            _ => Err(JwksError::Insecure(Self::Url(url))),
        }
    }
}

/// Whether an address is of this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl JwksSource {
    /// Looks at a file that keys are to come from, so that a mistake is found at the start. An address isn't called: it may be
    /// away at this moment.
    ///
    /// # Errors
    /// [`JwksError`] if it can't be read, or holds no keys.
    pub fn check(&self) -> Result<(), JwksError> {
        match self {
            Self::File(path) => KeySet::parse(&std::fs::read(path).map_err(unreadable(path))?).map(drop)?,
            Self::Url(_) => {}
        }
        Ok(())
    }
}

impl fmt::Display for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            // A query may hold a key of somebody's.
            Self::Url(url) => write!(f, "{}{}", url.origin().ascii_serialization(), url.path()),
        }
    }
}

impl fmt::Debug for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Gets keys from where they are.
#[derive(Debug)]
pub(super) struct Fetcher {
    source: JwksSource,
    client: Client,
}

impl Fetcher {
    pub(super) fn new(source: JwksSource) -> Result<Self, JwksError> {
        // Whoever may redirect could lead anywhere; the address is configured, so it can be the right one.
        let client = Client::builder().timeout(FETCH_MAX).redirect(Policy::none()).build()?;
        Ok(Self { source, client })
    }

    pub(super) fn source(&self) -> &JwksSource {
        &self.source
    }

    pub(super) async fn fetch(&self) -> Result<KeySet, JwksError> {
        let text = match &self.source {
            JwksSource::File(path) => tokio::fs::read(path).await.map_err(unreadable(path))?,
            JwksSource::Url(url) => self.get(url.clone()).await?,
        };
        Ok(KeySet::parse(&text)?)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, JwksError> {
        let answered = async {
            let request = self.client.get(url).header(http::header::ACCEPT, "application/json");
            let mut response = request.send().await?.error_for_status()?;
            let mut text = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if text.len() + chunk.len() > SET_BYTES_MAX {
                    return Err(JwksError::Long);
                }
                text.extend_from_slice(&chunk);
            }
            Ok(text)
        };
        answered.await.map_err(|error| match error {
            JwksError::Fetch(error) => JwksError::Fetch(error.without_url()),
            other => other,
        })
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> JwksError {
    let path = path.to_owned();
    move |source| JwksError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_safe_places() {
        for good in [
            "https://id.example/jwks",
            "http://127.0.0.1:1/a",
            "http://[::1]/a",
            "http://localhost/a",
            "/etc/jwks",
        ] {
            assert!(good.parse::<JwksSource>().is_ok(), "{good}");
        }
        for bad in [
            "http://id.example/jwks",
            "ftp://id.example/jwks",
            "http://127.0.0.1.example/a",
            "https://",
        ] {
            assert!(bad.parse::<JwksSource>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_is_looked_at() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = JwksSource::File(file.path().to_owned());
        for text in [
            "",
            "{}",
            r#"{"keys": []}"#,
            r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#,
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert!(matches!(source.check(), Err(JwksError::Form(_))), "{text}");
        }
        let nowhere = JwksSource::File("/nowhere/jwks.json".into());
        assert!(nowhere.check().unwrap_err().to_string().contains("/nowhere/jwks.json"));
    }
}
