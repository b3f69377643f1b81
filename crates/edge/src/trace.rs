//! A span and a measurement for each request.

use std::{borrow::Cow, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
};
use http::Response;
use tokio::time::Instant;
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{MakeSpan, OnResponse, TraceLayer},
};
use tracing::{Span, field::Empty, info_span};

/// A histogram of how long requests took until the answer began, in seconds.
const DURATION: &str = "reelway_http_server_duration_seconds";
/// What a request that no route takes is counted under; its path is the client's choice.
const UNMATCHED: &str = "unmatched";
/// Where a token stands in a path, and what is shown of it.
const SIGNED_PLAYBACK: &str = "/play/~";

/// Spans in their callers' traces, which last until the last byte. Named as OpenTelemetry's conventions for HTTP say.
pub(crate) fn layer()
-> TraceLayer<SharedClassifier<ServerErrorsAsFailures>, RequestSpan, (), ResponseStatus, (), (), ()> {
    TraceLayer::new_for_http()
        .make_span_with(RequestSpan)
        .on_request(())
        .on_response(ResponseStatus)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

/// Measures requests.
pub(crate) async fn measured(request: Request, next: Next) -> axum::response::Response {
    let (route, begun) = (route(&request).to_owned(), Instant::now());
    let response = next.run(request).await;
    let code = response.status().as_u16().to_string();
    metrics::histogram!(DURATION, "route" => route, "code" => code).record(begun.elapsed().as_secs_f64());
    response
}

fn route<B>(request: &http::Request<B>) -> &str {
    request.extensions().get().map_or(UNMATCHED, MatchedPath::as_str)
}

/// Makes the span of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestSpan;

impl<B> MakeSpan<B> for RequestSpan {
    fn make_span(&mut self, request: &http::Request<B>) -> Span {
        let (method, route) = (request.method(), route(request));
        let span = info_span!(
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = %method,
            http.route = route,
            url.path = &*shown(request.uri().path()),
            http.response.status_code = Empty,
        );
        reelway_telemetry::continue_from_headers(&span, request.headers());
        span
    }
}

/// The path without what opens something: whoever reads traces and logs must not be able to use it. The query is never shown.
fn shown(path: &str) -> Cow<'_, str> {
    match path.strip_prefix(SIGNED_PLAYBACK) {
        Some(rest) => {
            let (_, rest) = rest.split_once('/').unwrap_or_default();
            Cow::Owned(format!("{SIGNED_PLAYBACK}/{rest}"))
        }
        None => Cow::Borrowed(path),
    }
}

/// Says how the request ended.
#[derive(Debug, Clone)]
pub(crate) struct ResponseStatus;

impl<B> OnResponse<B> for ResponseStatus {
    fn on_response(self, response: &Response<B>, _: Duration, span: &Span) {
        span.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown() {
        assert_eq!(shown("/play/~secret/job_1/master.m3u8"), "/play/~/job_1/master.m3u8");
        assert_eq!(shown("/play/~secret"), "/play/~/");
        assert_eq!(shown("/play/job_1/master.m3u8"), "/play/job_1/master.m3u8");
    }
}
