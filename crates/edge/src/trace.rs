//! A span and a measurement for each request of a player.

use std::time::Duration;

use axum::http::{Request, Response};
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{MakeSpan, OnResponse, TraceLayer},
};
use tracing::{Span, field::Empty, info_span};

/// A histogram of how long requests took until the answer began, in seconds.
const DURATION: &str = "reelway_http_server_duration_seconds";

/// Spans in their callers' traces, which last until the last byte. Named as OpenTelemetry's conventions for HTTP say.
pub(crate) fn layer(
    route: &'static str,
) -> TraceLayer<SharedClassifier<ServerErrorsAsFailures>, RequestSpan, (), ResponseStatus, (), (), ()> {
    TraceLayer::new_for_http()
        .make_span_with(RequestSpan { route })
        .on_request(())
        .on_response(ResponseStatus { route })
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

/// Makes the span of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestSpan {
    route: &'static str,
}

impl<B> MakeSpan<B> for RequestSpan {
    fn make_span(&mut self, request: &Request<B>) -> Span {
        let (method, route) = (request.method(), self.route);
        let span = info_span!(
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = %method,
            http.route = route,
            url.path = request.uri().path(),
            http.response.status_code = Empty,
        );
        reelway_telemetry::continue_from_headers(&span, request.headers());
        span
    }
}

/// Says how the request ended.
#[derive(Debug, Clone)]
pub(crate) struct ResponseStatus {
    route: &'static str,
}

impl<B> OnResponse<B> for ResponseStatus {
    fn on_response(self, response: &Response<B>, latency: Duration, span: &Span) {
        span.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        let code = response.status().as_u16().to_string();
        metrics::histogram!(DURATION, "route" => self.route, "code" => code).record(latency.as_secs_f64());
    }
}
