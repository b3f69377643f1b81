//! TLS of a server, from files that may be exchanged while it runs: certificates are renewed more often than servers are started.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{VerifierBuilderError, WebPkiClientVerifier},
    },
    server::TlsStream,
};

/// A client that doesn't get through its handshake within this time is cut off.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How often the files are read again.
const RELOAD_EVERY: Duration = Duration::from_secs(5);
/// What clients may speak, what is preferred first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where certificates are, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by those between it and the authority.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// The authorities of clients; `None`: clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// The files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One can't be read.
    #[error("read {path}: {source}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One doesn't hold what it should, in PEM.
    #[error("{path}: {source}")]
    Pem {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The authorities can't be used.
    #[error("{path}: {source}")]
    Authorities {
        /// Which file they are in.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The certificate or its key can't be used, or they don't belong together.
    #[error("the certificate and its key: {0}")]
    Pair(#[from] rustls::Error),
}

/// TLS as the files say now. Clones are the same.
#[derive(Clone)]
pub struct ServerTls {
    files: Arc<TlsFiles>,
    current: watch::Sender<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    contents: Contents,
    config: Arc<ServerConfig>,
}

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl ServerTls {
    /// Reads the files. Blocks; nothing else has begun when a server reads its settings.
    ///
    /// # Errors
    /// If they can't be used.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let config = contents.config(&files)?;
        Ok(Self {
            files: Arc::new(files),
            current: watch::Sender::new(Loaded { contents, config }),
        })
    }

    /// Reads the files again and again, for as long as it is polled. Files that can't be used change nothing: they may be in the
    /// middle of being exchanged.
    pub async fn follow(self) {
        let mut said = String::new();
        loop {
            sleep(RELOAD_EVERY).await;
            let own = self.clone();
            let reloaded = tokio::task::spawn_blocking(move || own.reload()).await;
            match reloaded {
                Ok(Ok(is_new)) => {
                    said.clear();
                    if is_new {
                        tracing::info!(certificate = %self.files.certificate.display(), "certificate exchanged");
                    }
                }
                Ok(Err(error)) if said != error.to_string() => {
                    said = error.to_string();
                    tracing::warn!(%error, "new certificate can't be used; the old one stays");
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// Reads the files again; says whether they hold anything new.
    fn reload(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.files)?;
        if self.current.borrow().contents == contents {
            return Ok(false);
        }
        let config = contents.config(&self.files)?;
        self.current.send_replace(Loaded { contents, config });
        Ok(true)
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// If the client doesn't, or not in time.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.borrow().config);
        let shaking = timeout(HANDSHAKE_MAX, TlsAcceptor::from(config).accept(stream)).await;
        shaking.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn config(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem, path)? {
                    roots.add(authority)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|source| TlsError::Authorities {
                    path: path.clone(),
                    source,
                })?)
            }
            _ => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Pem {
            path: files.key.clone(),
            source,
        })?;
        let mut config = builder.with_single_cert(certificates(&self.certificate, &files.certificate)?, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}

/// All certificates of a PEM file, of which there must be one.
fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Pem {
        path: path.to_owned(),
        source,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong(pem::Error::NoItemsFound));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
