//! Where the servers are, and how to talk to them.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

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

/// A channel that connects when it is first used, and again when it broke. Several addresses, with commas between them, are
/// servers of one deployment: calls go to those that can be reached.
pub(crate) fn channel(urls: &str) -> Result<Channel, Error> {
    let mut endpoints = urls.split(',').map(endpoint).collect::<Result<Vec<_>, _>>()?;
    if endpoints.len() == 1 {
        return Ok(endpoints.remove(0).connect_lazy());
    }
    Ok(Channel::balance_list(endpoints.into_iter()))
}

fn endpoint(url: &str) -> Result<Endpoint, Error> {
    let refuse = |problem: String| Error::Endpoint {
        url: url.to_owned(),
        problem,
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| refuse(error.to_string()))?;
    if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
        return Err(refuse("it must look like http://HOST:PORT".to_owned()));
    }
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
        assert!(channel("http://127.0.0.1:50051").is_ok());
        assert!(channel("http://127.0.0.1:50051,http://127.0.0.1:50061").is_ok());
        for url in [
            "",
            "127.0.0.1:50051",
            "http://127.0.0.1:50051,",
            "https://127.0.0.1:50051",
            "file:///tmp",
            "http://",
        ] {
            assert!(matches!(channel(url), Err(Error::Endpoint { .. })), "{url:?}");
        }
    }
}
