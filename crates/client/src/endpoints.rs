//! Where the servers are, and how to talk to them.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, channel::Change};

use crate::Error;

/// A server that doesn't take the connection within this time is not there.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How much one stream may have on its way to here, in bytes.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// How much one connection may have on its way to here, in bytes. It also bounds how many small progress events may wait
/// unread, for `h2` cuts a connection on which too many do.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// How often a connection with calls on it is tested.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// A connection that doesn't answer such a test within this time is dead.
const KEEPALIVE_MAX: Duration = Duration::from_secs(10);

/// The addresses of the services, for example `http://127.0.0.1:50051`, each one or several with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Where `UploadService` is.
    pub upload: String,
    /// Where `JobService` is.
    pub jobs: String,
    /// Where `ProgressService` is.
    pub progress: String,
}

impl Endpoints {
    /// One server that has all services.
    #[must_use]
    pub fn single(url: &str) -> Self {
        Self {
            upload: url.to_owned(),
            jobs: url.to_owned(),
            progress: url.to_owned(),
        }
    }
}

/// Whom to trust at `https://` addresses, and as whom to appear there.
#[derive(Clone, Default)]
pub struct Trust {
    ca: Option<Certificate>,
    identity: Option<Identity>,
}

impl Trust {
    /// Only servers whose certificates come from one of these authorities, in PEM. Otherwise those that the system trusts.
    #[must_use]
    pub fn authorities(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca = Some(Certificate::from_pem(pem));
        self
    }

    /// Shows this certificate, in PEM with its chain, to servers that ask for one.
    #[must_use]
    pub fn identity(mut self, certificate_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity::from_pem(certificate_pem, key_pem));
        self
    }

    fn tls(&self) -> ClientTlsConfig {
        let tls = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(ca.clone()),
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        let tls = tls.timeout(CONNECT_MAX);
        match &self.identity {
            Some(identity) => tls.identity(identity.clone()),
            None => tls,
        }
    }
}

/// A channel that connects when it is first used, and again when it broke. Several addresses, with commas between them, are
/// servers of one deployment: calls go to those that can be reached. A server allows a number of streams on one connection,
/// so whoever opens very many asks for several connections to each.
///
/// # Errors
/// [`Error::Endpoint`] if an address can't be called.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn channel(urls: &str, trust: &Trust, connections_per_server: usize) -> Result<Channel, Error> {
    let mut endpoints = Vec::new();
    for url in urls.split(',') {
        let endpoint = endpoint(url, trust)?;
        endpoints.extend(std::iter::repeat_n(endpoint, connections_per_server));
    }
    if endpoints.len() == 1 {
        return Ok(endpoints.remove(0).connect_lazy());
    }
    let (channel, changes): (_, Sender<Change<usize, Endpoint>>) = Channel::balance_channel(endpoints.len());
    for (key, endpoint) in endpoints.into_iter().enumerate() {
        // There is room for all of them, and the channel listens.
        let _ = changes.try_send(Change::Insert(key, endpoint));
    }
    Ok(channel)
}

fn endpoint(url: &str, trust: &Trust) -> Result<Endpoint, Error> {
    let refuse = |problem: String| Error::Endpoint {
        url: url.to_owned(),
        problem,
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| refuse(error.to_string()))?;
    let is_tls = match (endpoint.uri().scheme_str(), endpoint.uri().host()) {
        (Some("http"), Some(_)) => false,
        (Some("https"), Some(_)) => true,
        _ => {
            return Err(refuse(
                "it must look like http://HOST:PORT or https://HOST:PORT".to_owned(),
            ));
        }
    };
    let endpoint = if is_tls {
        endpoint
            .tls_config(trust.tls())
            .map_err(|error| refuse(error.to_string()))?
    } else {
        endpoint
    };
    Ok(endpoint
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_addresses_that_can_be_called_are_taken() {
        let channel = |url| channel(url, &Trust::default(), 1);
        assert!(channel("http://127.0.0.1:50051").is_ok());
        assert!(channel("http://127.0.0.1:50051,http://127.0.0.1:50061").is_ok());
        for url in [
            "",
            "127.0.0.1:50051",
            "http://127.0.0.1:50051,",
            "file:///tmp",
            "http://",
        ] {
            assert!(matches!(channel(url), Err(Error::Endpoint { .. })), "{url:?}");
        }
    }
}
