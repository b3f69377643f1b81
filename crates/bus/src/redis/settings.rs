//! Where Redis is, and how it is spoken to.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use fred::{
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
    types::config::{Config, TlsConnector},
};

const PREFIX_DEFAULT: &str = "reelway";
const SCHEMES: [&str; 6] = [
    "redis",
    "rediss",
    "redis-sentinel",
    "rediss-sentinel",
    "redis-cluster",
    "rediss-cluster",
];

/// Where Redis is.
#[derive(Clone)]
pub struct RedisSettings {
    /// One of
    /// - `redis://[[user]:password@]host[:port][/database]`
    /// - `redis-sentinel://[[user]:password@]host[:port]?sentinelServiceName=name[&node=host:port …]`, with the sentinels as hosts
    ///   and `sentinelUsername` and `sentinelPassword` for theirs
    /// - `redis-cluster://[[user]:password@]host[:port][?node=host:port …]`
    ///
    /// and the same with `rediss` for TLS. Special characters are percent-encoded. It may hold a password, so it is never shown.
    pub url: String,
    /// What the names of all keys begin with, so that several deployments can share a Redis.
    pub prefix: String,
    /// Certificates in PEM that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The settings can't be understood. None of these shows the URL, because it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum RedisSettingsError {
    /// It is of no kind that is known.
    #[error("the URL must begin with redis://, redis-sentinel:// or redis-cluster://, or the same with rediss")]
    Scheme,
    /// Something else is wrong with it.
    #[error("the URL can't be understood ({0})")]
    Url(String),
    /// The certificates can't be read.
    #[error("read the certificates in {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("url", &"(secret)")
            .field("prefix", &self.prefix)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl RedisSettings {
    /// Redis at this URL, under the usual prefix.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: PREFIX_DEFAULT.to_owned(),
            ca_file: None,
        }
    }

    /// Whether they can be understood. Nobody is asked.
    ///
    /// # Errors
    /// What [`Bus::redis`](crate::Bus::redis) would say.
    pub fn check(&self) -> Result<(), RedisSettingsError> {
        self.config().map(drop)
    }

    /// What the client library wants.
    pub(super) fn config(&self) -> Result<Config, RedisSettingsError> {
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) {
            return Err(RedisSettingsError::Scheme);
        }
        // Only the kind of error is told: the details may quote the URL.
        let mut config =
            Config::from_url(&self.url).map_err(|error| RedisSettingsError::Url(error.kind().to_str().to_owned()))?;
        if let (Some(_), Some(path)) = (&config.tls, &self.ca_file) {
            let connector = trusting(path).map_err(|reason| RedisSettingsError::CaFile {
                path: path.clone(),
                reason,
            })?;
            config.tls = Some(connector.into());
        }
        Ok(config)
    }
}

/// TLS that trusts the system's certificates and these.
fn trusting(path: &Path) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    // What the system has but can't be used doesn't matter: the file says who is trusted.
    roots.add_parsable_certificates(fred::rustls_native_certs::load_native_certs().certs);
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let mut is_empty = true;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        is_empty = false;
    }
    if is_empty {
        return Err("there is none".to_owned());
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
        .into())
}

/// The names of the streams.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) tasks: String,
    pub(super) events: String,
    pub(super) samples: String,
    /// A stream that is never made: adding to it only if it is there tells whether Redis takes writes.
    pub(super) probe: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name| format!("{prefix}:{name}");
        Self {
            tasks: key("tasks"),
            events: key("events"),
            samples: key("samples"),
            probe: key("probe"),
        }
    }
}
