//! A span for each call.

use http::HeaderMap;
use tonic::Code;
use tracing::{Span, field::Empty, info_span};

/// The services that belong to no upload and are asked all the time: health and reflection.
const WITHOUT_SPAN: &str = "grpc.";

/// The span of a call to `/package.Service/Method`, in its caller's trace. It lasts until the last message; messages have
/// none of their own. Named as OpenTelemetry's conventions for RPC say.
pub(super) fn span(method: &str, headers: &HeaderMap) -> Span {
    let method = method.trim_start_matches('/');
    if method.starts_with(WITHOUT_SPAN) {
        return Span::none();
    }
    let span = info_span!(
        "call",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
    );
    reelway_telemetry::continue_from_headers(&span, headers);
    span
}

/// Says how the call ended.
pub(super) fn ended(span: &Span, code: Code) {
    span.record("rpc.response.status_code", name(code));
    if is_fault(code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Whether the server is to blame.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code as the gRPC specification writes it, for example `NOT_FOUND`.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_the_specification_does() {
        let names = [
            (Code::Ok, "OK"),
            (Code::NotFound, "NOT_FOUND"),
            (Code::Cancelled, "CANCELLED"),
            (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
        ];
        for (code, expected) in names {
            assert_eq!(name(code), expected);
        }
    }
}
