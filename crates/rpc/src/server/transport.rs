//! The settings of the transport. Their values were measured: together they make an upload several times faster than
//! the defaults do.

use std::{future::ready, io, ops::Range, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

use super::{accepted::Accepted, tls::ServerTls};

/// The largest HTTP/2 frame, in bytes. With the default of 16 KiB an upload takes twice the CPU; every connection keeps a buffer
/// of this size, so more than needed is memory for each upload.
pub const FRAME_BYTES_MAX: u32 = 128 << 10;
/// How much a client may send on one stream before the server has read it, unless configured otherwise: memory for each
/// upload that is slower than its client.
pub const STREAM_WINDOW_BYTES_DEFAULT: u32 = 256 << 10;
/// What can be configured instead. HTTP/2 begins with 64 KiB; above 16 MiB memory is all that grows.
pub const STREAM_WINDOW_BYTES: std::ops::RangeInclusive<u32> = 64 << 10..=16 << 20;
/// How much a client may send on all streams of a connection before the server has read it; at least a stream's window.
const CONNECTION_WINDOW_BYTES_MIN: u32 = 4 << 20;
/// How many calls one connection may have open. hyper's default of 200 makes the next one wait without a word.
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
/// The largest header list of a request, in bytes.
pub const HEADER_LIST_BYTES_MAX: u32 = 32 << 10;
/// A client that opens and resets streams faster than they are accepted is cut off after so many (CVE-2023-44487).
pub const PENDING_ACCEPT_RESETS_MAX: usize = 64;
/// A client that makes the server reset streams is cut off after so many (CVE-2025-8671).
pub const LOCAL_ERROR_RESETS_MAX: usize = 256;
/// A silent connection is pinged this often.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// A connection that doesn't answer a ping for so long is closed.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How many clients may be shaking hands at once.
const HANDSHAKES_MAX: usize = 1024;

/// By how much the age of connections differs from server to server: servers that were started together don't ask all
/// clients in the same moment.
const CONNECTION_AGE_SPREAD: Range<f64> = 0.9..1.1;

/// What can be configured.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transport {
    /// How much a client may send ahead on one stream, in bytes.
    pub(super) stream_window: Option<u32>,
    /// How old a connection becomes before its client is asked to connect again.
    pub(super) connection_age_max: Option<Duration>,
}

impl Transport {
    /// A server with these settings. It has no timeout of its own: uploads and watches may last for days.
    pub(super) fn builder(self) -> Server {
        let stream_window = self.stream_window.unwrap_or(STREAM_WINDOW_BYTES_DEFAULT);
        let server = Server::builder()
            // gRPC-Web comes over HTTP/1.1 too.
            .accept_http1(true)
            .max_frame_size(FRAME_BYTES_MAX)
            .initial_stream_window_size(stream_window)
            .initial_connection_window_size(stream_window.max(CONNECTION_WINDOW_BYTES_MIN))
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
            .http2_max_pending_accept_reset_streams(Some(PENDING_ACCEPT_RESETS_MAX))
            .http2_max_local_error_reset_streams(Some(LOCAL_ERROR_RESETS_MAX))
            .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
        match self.connection_age_max {
            // Without a grace period of its own tonic says GOAWAY and lets the streams end when they do.
            Some(age) => server.max_connection_age(age.mul_f64(rand::random_range(CONNECTION_AGE_SPREAD))),
            None => server,
        }
    }
}

/// The connections of a listener, as they have shaken hands. Slow clients don't hold up others.
///
/// tonic's own TCP settings don't reach a listener that was bound elsewhere. With Nagle's algorithm on, window updates
/// wait for delayed acknowledgements, and uploads run at a twentieth of the speed.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Option<ServerTls>,
) -> impl Stream<Item = io::Result<Accepted>> + Send {
    let taken = TcpIncoming::from(listener).map(move |stream| {
        let tls = tls.clone();
        tokio::spawn(async move { Accepted::take(stream?, tls.as_ref()).await })
    });
    taken.buffer_unordered(HANDSHAKES_MAX).filter_map(|taken| {
        let taken = match taken {
            Ok(Ok(accepted)) => Some(Ok(accepted)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "connection not taken");
                None
            }
            Err(_) => None,
        };
        ready(taken)
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn connections_have_no_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let Accepted::Plain(accepted) = incoming(listener, None).next().await.unwrap().unwrap() else {
            panic!("nobody asked for TLS")
        };
        assert!(accepted.nodelay().unwrap());
    }
}
