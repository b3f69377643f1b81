//! JSON documents that can be polled: whoever names the version that it has is told when it is still the one.

use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use sha2::{Digest as _, Sha256};

/// So many bytes of the SHA-256 tell versions apart.
const TAG_BYTES: usize = 18;
/// The answer is the caller's own, and it may be kept but must be asked for again.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");
/// What a call did is told once; it may be a token.
const NEVER: HeaderValue = HeaderValue::from_static("no-store");

/// A document, or 304 (Not Modified) if a GET names it in `If-None-Match` (RFC 9110, section 13.1.2).
pub(super) fn json(request: &Parts, body: impl Into<Bytes>) -> Response {
    let body = body.into();
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return ([(header::CACHE_CONTROL, NEVER)], described(body)).into_response();
    }
    let tag = tag(&body);
    let mut response = if is_known(&request.headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        described(body)
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHE);
    // Base64 has no sign that a header can't carry.
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
    response
}

fn described(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A strong validator: other bytes have another.
fn tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest[..TAG_BYTES]))
}

/// Whether the caller has this version already. The comparison is the weak one, since a proxy that compresses weakens tags.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let listed = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    listed
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn ask(method: Method, known: Option<&str>) -> Response {
        let mut request = Request::builder().method(method);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        json(&request.body(()).unwrap().into_parts().0, "{}")
    }

    #[test]
    fn a_version_that_is_known_is_not_sent_again() {
        let first = ask(Method::GET, None);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CACHE_CONTROL], "private, no-cache");
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("\"a\", W/{tag}"), "*".to_owned()] {
            let again = ask(Method::GET, Some(&known));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[header::ETAG], tag);
            assert!(!again.headers().contains_key(header::CONTENT_TYPE));
        }
        assert_eq!(ask(Method::HEAD, Some(&tag)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask(Method::GET, Some("\"a\"")).status(), StatusCode::OK);
        assert_eq!(ask(Method::POST, None).headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            ask(Method::POST, Some("*")).status(),
            StatusCode::OK,
            "what a call did is not a version of anything"
        );
    }

    #[test]
    fn other_bytes_have_another_tag() {
        assert_ne!(tag(b"{}"), tag(b"{ }"));
    }
}
