use std::sync::Arc;

use axum::{Router, body::Body, middleware, routing::get};
use http::header;
use tower::ServiceExt as _;

use super::*;

const APP: &str = "https://app.example";

async fn answer(allowed: &[&str], method: Method, headers: &[(&str, &str)]) -> Response {
    let allowed: Arc<[AllowedOrigin]> = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
    let router: Router = Router::new()
        .route(
            "/",
            get(async || ([("upload-offset", "7")], "read")).options(async || "the protocol's answer"),
        )
        .layer(middleware::from_fn_with_state(allowed, layer));
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn told<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

const PREFLIGHT: (&str, &str) = ("access-control-request-method", "PATCH");

#[tokio::test]
async fn only_listed_origins_are_answered() {
    let table = [
        (&[APP][..], APP, Some(APP), Some("true")),
        (&[APP], "https://app.example.evil", None, None),
        (&[APP], "http://app.example", None, None),
        (&[APP], "https://app.example:444", None, None),
        (&[APP], "null", None, None),
        (&["*"], "https://any.example", Some("*"), None),
        (&["*", APP], APP, Some(APP), Some("true")),
        (&[], APP, None, None),
    ];
    for (allowed, origin, granted, credentials) in table {
        for (method, preflight) in [(Method::GET, false), (Method::OPTIONS, true)] {
            let headers = [("origin", origin), PREFLIGHT];
            let answer = answer(allowed, method, &headers[..=usize::from(preflight)]).await;
            let case = format!("{allowed:?} {origin} {preflight}");
            assert_eq!(told(&answer, "access-control-allow-origin"), granted, "{case}");
            assert_eq!(told(&answer, "access-control-allow-credentials"), credentials, "{case}");
            assert_eq!(
                told(&answer, "vary"),
                (!allowed.is_empty()).then_some("origin"),
                "{case}"
            );
            let is_answered_here = preflight && granted.is_some();
            assert_eq!(answer.status() == StatusCode::NO_CONTENT, is_answered_here, "{case}");
            assert_eq!(
                told(&answer, "access-control-max-age").is_some(),
                is_answered_here,
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn a_preflight_names_what_the_protocols_need() {
    let answer = answer(&[APP], Method::OPTIONS, &[("origin", APP), PREFLIGHT]).await;
    let headers = told(&answer, "access-control-allow-headers").unwrap();
    for name in [
        "Upload-Offset",
        "Upload-Metadata",
        "Tus-Resumable",
        "Authorization",
        "Upload-Complete",
        "Content-Digest",
    ] {
        assert!(headers.split(", ").any(|listed| listed == name), "{name}: {headers}");
    }
    assert!(told(&answer, "access-control-allow-methods").unwrap().contains("PATCH"));
    assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
}

#[tokio::test]
async fn pages_may_read_what_the_protocols_say() {
    let answer = answer(&[APP], Method::GET, &[("origin", APP)]).await;
    assert_eq!(told(&answer, "upload-offset"), Some("7"));
    let exposed = told(&answer, "access-control-expose-headers").unwrap();
    for name in [
        "Upload-Offset",
        "Location",
        "Upload-Expires",
        "Upload-Limit",
        "ETag",
        "Retry-After",
    ] {
        assert!(exposed.split(", ").any(|listed| listed == name), "{name}: {exposed}");
    }
}

#[tokio::test]
async fn an_options_request_of_a_protocol_reaches_it() {
    let answer = answer(&[APP], Method::OPTIONS, &[("origin", APP)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(told(&answer, "access-control-allow-origin"), Some(APP));
    let body = axum::body::to_bytes(answer.into_body(), 1024).await.unwrap();
    assert_eq!(&body[..], b"the protocol's answer");
}
