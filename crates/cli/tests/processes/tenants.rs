//! Limits of tenants: set beside a running node, and kept by it.

use std::{path::Path, time::Duration};

use reelway::v1::{ListJobsRequest, job_service_client::JobServiceClient};
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use crate::node::{Node, reelway, run};

/// `reelway tenants` on a node's data, with JSON.
async fn tenants(data: &Path, args: &[&str]) -> Value {
    let mut command = reelway(["tenants"]);
    command.args(args).arg("--json").arg("--data").arg(data);
    let done = run(command).await;
    assert!(done.status.success(), "{done:?}");
    serde_json::from_slice(&done.stdout).expect("a line of JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_beside_a_running_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--tenant-uploads-open-max", "64"]).await;
    let url = node.url("grpc").await;
    let set = tenants(dir.path(), &["set", "default", "--bytes-max", "10"]).await;
    let expected = json!({
        "tenant": "default", "bytes_stored": 0, "bytes_reserved": 0, "bytes_max": 10, "uploads_open": 0,
        "uploads_open_max": "default",
    });
    assert_eq!(set, expected);

    let file = dir.path().join("eleven.bin");
    std::fs::write(&file, "eleven byte").expect("a file");
    let upload = async || {
        let mut command = reelway(["upload", "--preset", "none", "--server", &url]);
        command.arg(&file);
        run(command).await
    };
    let refused = upload().await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("QUOTA_EXCEEDED"), "{told}");
    tenants(dir.path(), &["set", "default", "--bytes-max", "none"]).await;
    let taken = upload().await;
    assert!(taken.status.success(), "{taken:?}");
    let got = tenants(dir.path(), &["get", "default"]).await;
    assert_eq!((&got["bytes_stored"], &got["bytes_max"]), (&json!(11), &json!("none")));
    assert_eq!(tenants(dir.path(), &["list"]).await, got);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_too_fast_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--rate-per-tenant", "2/h"]).await;
    let endpoint = Endpoint::from_shared(node.url("grpc").await).expect("a URL");
    let mut jobs = JobServiceClient::new(endpoint.connect().await.expect("a connection"));
    for _ in 0..2 {
        jobs.list_jobs(ListJobsRequest::default()).await.expect("an answer");
    }
    let refused = jobs
        .list_jobs(ListJobsRequest::default())
        .await
        .expect_err("one too many");
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(wait.is_some_and(|wait| wait > Duration::from_secs(1700)), "{refused:?}");
    assert_eq!(
        refused.get_details_error_info().expect("a reason").reason,
        "RATE_LIMITED"
    );
}
