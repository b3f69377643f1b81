//! Which pages of other origins may call: an exact list (<https://fetch.spec.whatwg.org/#http-cors-protocol>). Without one nothing
//! is said about origins, so browsers let pages of the same origin call, and no others.
//!
//! Only a preflight is answered here, which names the method it is about. Any other OPTIONS belongs to the protocols: tus
//! clients ask by it what the server can do.

mod origin;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, ORIGIN, RANGE, VARY,
    },
};
use tower_http::cors::{Any, CorsLayer};

pub use origin::AllowedOrigin;

/// What pages may do.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// What pages may say.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Content-Digest, Content-Disposition, Content-Range, Repr-Digest, Want-Repr-Digest, Idempotency-Key, If-None-Match, Last-Event-ID, \
     Prefer, Range, Tus-Resumable, Upload-Checksum, Upload-Complete, Upload-Concat, Upload-Defer-Length, \
     Upload-Draft-Interop-Version, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-ID, \
     X-Requested-With, traceparent, tracestate",
);
/// What pages may read beyond what every page may.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept-Patch, Content-Digest, Content-Range, ETag, Link, Location, Repr-Digest, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, \
     Tus-Resumable, Tus-Version, Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, \
     Upload-Expires, Upload-Length, Upload-Limit, Upload-Metadata, Upload-Offset, Upload-Tail-Limit, \
     Upload-Tail-Offset, WWW-Authenticate, X-Request-ID",
);
/// How long browsers remember the answer to a preflight, in seconds: as long as any of them does.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// Answers preflights, and tells browsers who may read the other answers.
pub(crate) async fn layer(State(allowed): State<Arc<[AllowedOrigin]>>, mut request: Request, next: Next) -> Response {
    if allowed.is_empty() {
        return next.run(request).await;
    }
    let granted = request.headers().get(ORIGIN).and_then(|origin| grant(&allowed, origin));
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight && granted.is_some() {
        let mut answer = StatusCode::NO_CONTENT.into_response();
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
        answer
    } else {
        if granted.is_some() {
            request.extensions_mut().insert(Granted);
        }
        let mut answer = next.run(request).await;
        if granted.is_some() {
            answer
                .headers_mut()
                .insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
        answer
    };
    // Also where nothing is granted: caches must not give one page the answer to another.
    response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    if let Some(granted) = granted {
        granted.add_to(response.headers_mut());
    }
    response
}

/// In the extensions of a request: it comes from a page of another origin that may call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Granted;

/// Players run on anybody's pages, and nothing that is played depends on what a browser knows of its user.
pub(crate) fn for_players() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([RANGE, IF_NONE_MATCH, HeaderName::from_static("traceparent")])
        .expose_headers([CONTENT_LENGTH, CONTENT_RANGE, ETAG])
}

/// What a page is granted.
enum Grant {
    /// Whoever asks, without credentials of the browser.
    Anybody,
    /// This origin.
    Only(HeaderValue),
}

fn grant(allowed: &[AllowedOrigin], origin: &HeaderValue) -> Option<Grant> {
    if allowed.iter().any(|allowed| allowed.is_exactly(origin)) {
        return Some(Grant::Only(origin.clone()));
    }
    allowed.iter().any(AllowedOrigin::is_any).then_some(Grant::Anybody)
}

impl Grant {
    fn add_to(self, headers: &mut HeaderMap) {
        match self {
            Self::Anybody => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Only(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
