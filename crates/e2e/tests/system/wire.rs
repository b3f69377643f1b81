//! What other programs find on the ports: reflection, health, gRPC-Web, probes and metrics.

use serde_json::Value;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::harness::{Node, buf_path, get, get_ok, tool};

const SERVICES: [&str; 3] = ["UploadService", "JobService", "ProgressService"];

#[tokio::test(flavor = "multi_thread")]
async fn strangers_call_by_reflection_alone() {
    let node = Node::start().await;
    let buf = buf_path().display().to_string();
    let url = node.grpc_url();
    let methods = tool(
        &buf,
        &[
            "curl",
            "--http2-prior-knowledge",
            "--protocol",
            "grpc",
            "--list-methods",
            &url,
        ],
    )
    .await;
    for method in [
        "UploadService/StreamUpload",
        "JobService/CreateJob",
        "ProgressService/WatchProgress",
    ] {
        assert!(
            methods.lines().any(|line| line == format!("reelway.v1.{method}")),
            "{method} in\n{methods}"
        );
    }
    let create = format!("{url}/reelway.v1.UploadService/CreateUpload");
    let body = r#"{"file_name": "a.mp4", "size_bytes": "5", "preset": "none"}"#;
    let grpc = [
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        "grpc",
        "-d",
        body,
        &create,
    ];
    let answer: Value = serde_json::from_str(&tool(&buf, &grpc).await).expect("JSON");
    assert_eq!(answer["upload"]["fileName"], "a.mp4", "{answer}");
    // As a browser would: gRPC-Web over HTTP/1.1. The schema comes by plain gRPC, because reflection streams both ways.
    let list = format!("{url}/reelway.v1.UploadService/ListUploads");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let web = ["curl", "--protocol", "grpcweb", "--schema", schema, "-d", "{}", &list];
    let answer: Value = serde_json::from_str(&tool(&buf, &web).await).expect("JSON");
    assert_eq!(answer["uploads"].as_array().map(Vec::len), Some(1), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_each_service() {
    let mut node = Node::start().await;
    let mut health = HealthClient::new(node.channel().await);
    let services = SERVICES.map(|service| format!("reelway.v1.{service}"));
    for service in services.into_iter().chain([String::new()]) {
        let request = HealthCheckRequest {
            service: service.clone(),
        };
        let answer = health
            .check(request)
            .await
            .unwrap_or_else(|status| panic!("{service:?}: {status}"));
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest {
        service: "reelway.v1.Nothing".to_owned(),
    };
    assert_eq!(
        health.check(request).await.expect_err("no such service").code(),
        tonic::Code::NotFound
    );
    drop(health);
    assert_eq!(node.terminate().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_are_on_the_admin_port_alone() {
    let node = Node::start().await;
    // Something to count.
    node.client()
        .list_uploads(reelway::v1::ListUploadsRequest::default())
        .await
        .expect("a list");
    for path in ["/healthz", "/readyz"] {
        get_ok(&format!("{}{path}", node.admin_url())).await;
        assert_eq!(
            get(&format!("{}{path}", node.http_url())).await.status(),
            404,
            "{path} is not for the public"
        );
    }
    let (content_type, text) = get_ok(&format!("{}/metrics", node.admin_url())).await;
    assert!(content_type.starts_with("text/plain"), "{content_type}");
    let text = String::from_utf8(text.to_vec()).expect("text");
    for name in ["reelway_build_info", "UploadService/ListUploads"] {
        assert!(text.lines().any(|line| line.contains(name)), "{name} in\n{text}");
    }
    assert_eq!(get(&format!("{}/metrics", node.http_url())).await.status(), 404);
}
