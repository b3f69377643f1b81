//! The whole way of a request, up to where a service would answer.

use std::{convert::Infallible, future::ready};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::{ServiceExt as _, service_fn};

use crate::{Edge, GrpcService, Settings, Upstream, in_process, testing::Node};

/// A service that no node serves: whoever calls hears that nobody is there.
fn nobody() -> GrpcService {
    in_process(service_fn(|_| {
        ready(Ok::<_, Infallible>(tonic::Status::unavailable("nobody").into_http()))
    }))
}

fn edge() -> Router {
    let upstream = Upstream {
        uploads: nobody(),
        jobs: nobody(),
        progress: nobody(),
    };
    Edge::new(upstream, Settings::default(), CancellationToken::new()).router()
}

async fn ask(method: &str, path: &str) -> (Response<()>, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (head, body) = edge().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (Response::from_parts(head, ()), value)
}

#[tokio::test]
async fn a_path_without_a_route_is_a_problem() {
    for path in [
        "/v1",
        "/v1/",
        "/v1/videos",
        "/v1/jobs/j/frames",
        "/v1/jobs/",
        "/v1/uploads/a%2Fb/c",
    ] {
        for method in ["GET", "POST"] {
            let (answer, problem) = ask(method, path).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
            assert_eq!(problem["reason"], "PATH_UNKNOWN");
        }
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_answer_to_is_a_problem() {
    let cases = [
        ("PUT", "/v1/uploads", "POST, GET, HEAD"),
        ("PATCH", "/v1/uploads/u", "GET, HEAD, DELETE"),
        ("GET", "/v1/jobs/j/cancel", "POST"),
        ("POST", "/v1/openapi.json", "GET, HEAD"),
    ];
    for (method, path, allowed) in cases {
        let (answer, problem) = ask(method, path).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.headers()[header::ALLOW], allowed);
        assert_eq!(problem["reason"], "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_a_problem() {
    for (method, path) in [
        ("GET", "/v1/uploads/u"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/j/progress"),
        ("DELETE", "/v1/jobs/j"),
    ] {
        let (answer, problem) = ask(method, path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(
            (&problem["reason"], &problem["domain"]),
            (&"SERVICE_UNAVAILABLE".into(), &"reelway.dev".into())
        );
    }
}

#[tokio::test]
async fn an_id_that_is_no_text_is_a_problem() {
    let (answer, problem) = ask("GET", "/v1/uploads/%FF").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(problem["violations"][0]["field"], "upload_id");
}

#[tokio::test]
async fn the_description_is_served_once() {
    let (answer, document) = ask("GET", super::openapi::PATH).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(document["openapi"], "3.1.0");
    let known = answer.headers()[header::ETAG].clone();
    let request = Request::get(super::openapi::PATH).header(header::IF_NONE_MATCH, known);
    let again = edge().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn what_the_description_tells_of_beside_the_table_is_served() {
    let (_, document) = ask("GET", super::openapi::PATH).await;
    let paths = document["paths"].as_object().unwrap();
    // Playback is a router of its own.
    for (path, operations) in paths.iter().filter(|(path, _)| !path.starts_with("/play/")) {
        for verb in operations.as_object().unwrap().keys() {
            let (answer, problem) = ask(&verb.to_ascii_uppercase(), &path.replace("{id}", "x")).await;
            assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{verb} {path}");
            // The answer to a HEAD doesn't say what is missing.
            let is_nothing = problem["reason"] == "PATH_UNKNOWN" || problem.is_null() && verb != "head";
            assert!(
                answer.status() != StatusCode::NOT_FOUND || !is_nothing,
                "{verb} {path}: {problem}"
            );
        }
    }
}

#[tokio::test]
async fn a_node_answers_as_it_answers_grpc() {
    let node = Node::start().await;
    let json = [("Content-Type", "application/json")];
    let created = node
        .send("POST", "/v1/uploads", &json, br#"{"sizeBytes": 5, "preset": "none"}"#)
        .await;
    assert_eq!((created.status, created.header("etag")), (200, None));
    let id = created.json()["upload"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/uploads/{id}");
    let first = node.send("GET", &path, &[], b"").await;
    assert_eq!(first.json(), serde_json::json!({"upload": created.json()["upload"]}));
    let tag = first.header("etag").unwrap().to_owned();
    let again = node.send("GET", &path, &[("If-None-Match", &tag)], b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let progress = node.send("GET", &format!("{path}/progress"), &[], b"").await;
    assert_eq!(progress.json()["progress"]["sizeBytes"], "5");

    let aborted = node.send("DELETE", &path, &[], b"").await;
    assert_eq!(aborted.json()["upload"]["state"], "UPLOAD_STATE_ABORTED");
    let changed = node.send("GET", &path, &[("If-None-Match", &tag)], b"").await;
    assert_eq!(changed.status, 200);
    let refused = node
        .send("POST", &format!("{path}/complete"), &json, br#"{"sizeBytes": 5}"#)
        .await;
    assert_eq!(
        (refused.status, &refused.json()["reason"]),
        (410, &"UPLOAD_ABORTED".into())
    );
    let head = node.send("HEAD", &path, &[], b"").await;
    assert_eq!((head.status, head.header("etag")), (200, changed.header("etag")));
}
