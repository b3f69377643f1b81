//! The limits of HTTP. A gRPC server has the same ones where they are about the same thing.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reelway_rpc::transport;

use super::head::{HEAD_MAX, HeadClock};

/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// The largest head of an HTTP/1 request, in bytes; the same as in HTTP/2.
const HEAD_BYTES_MAX: usize = transport::HEADER_LIST_BYTES_MAX as usize;
/// The most that is read of an HTTP/1 body at once, in bytes. Each piece costs a message and a write, so small ones are slow; but
/// every upload has a few of them in memory.
const BODY_READ_BYTES_MAX: usize = 256 << 10;
/// The requests that a client may have open on one HTTP/2 connection: browsers have a hundred.
const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// How much a client may send on all streams of a connection before the server has read it, in bytes: four uploads at full speed.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// How much of an answer waits for a slow client on each stream, in bytes.
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;
/// A client of HTTP/2 that has asked for nothing within this time is cut off.
pub(super) const FIRST_REQUEST_MAX: Duration = HEAD_MAX;

/// HTTP/1 on a connection with this clock.
pub(super) fn http1(clock: HeadClock) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(clock)
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BODY_READ_BYTES_MAX);
    builder
}

/// HTTP/2 on any connection.
pub(super) fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_frame_size(transport::FRAME_BYTES_MAX)
        .initial_stream_window_size(transport::STREAM_WINDOW_BYTES_DEFAULT)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(transport::HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(transport::PENDING_ACCEPT_RESETS_MAX)
        .max_local_error_reset_streams(transport::LOCAL_ERROR_RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(transport::KEEPALIVE_EVERY)
        .keep_alive_timeout(transport::KEEPALIVE_TIMEOUT)
        // WebSockets over HTTP/2 (RFC 8441).
        .enable_connect_protocol();
    builder
}
