//! Probes follow what a server depends on, and a server waits for it instead of ending.

use nix::sys::signal::Signal;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::node::{Node, Shared, reelway, run, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_its_database_and_its_schema() {
    let mut shared = Shared::start().await;
    shared.postgres.stop().await;
    let mut node = shared.serve("upload", "upload", &[]);
    node.health_says(false, "catalog").await;
    assert!(node.health(&["--live"]).await.0, "it lives");

    shared.postgres.start_again().await;
    node.health_says(false, "reelway migrate").await;
    let url = shared.postgres.database().url();
    let migrated = run(reelway(["migrate", "--wait", "30s", "--database", &url])).await;
    assert!(migrated.status.success(), "{migrated:?}");
    node.ready().await;
    node.health_says(true, "\"ready\":true").await;

    // It goes away and comes back, and the server goes on by itself.
    let service = "reelway.v1.UploadService";
    shared.postgres.stop().await;
    node.health_says(false, "catalog").await;
    assert_eq!(serving(&mut node, "upload", service).await, ServingStatus::NotServing);
    assert!(node.health(&["--live"]).await.0, "a restart would mend nothing");
    shared.postgres.start_again().await;
    node.health_says(true, "\"ready\":true").await;
    until("SERVING", async || {
        serving(&mut node, "upload", service).await == ServingStatus::Serving
    })
    .await;

    node.signal(Signal::SIGTERM);
    assert_eq!(node.ended().await.code(), Some(0));
}

async fn serving(node: &mut Node, server: &str, service: &str) -> ServingStatus {
    let mut health = HealthClient::new(node.channel(server).await);
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    health.check(request).await.expect("an answer").into_inner().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_makes_nobody_unready() {
    let mut shared = Shared::migrated().await;
    shared.redis.kill9();
    let any = "127.0.0.1:0";
    let ports = ["--upload-grpc", any, "--jobs-grpc", any, "--progress-grpc", any];
    let mut node = shared.serve("most", "upload,jobs,progress,edge", &ports);
    for (name, service) in [("upload", "Upload"), ("jobs", "Job"), ("progress", "Progress")] {
        let state = serving(&mut node, name, &format!("reelway.v1.{service}Service")).await;
        assert_eq!(state, ServingStatus::Serving, "{name}");
    }
    node.health_says(true, "\"ready\":true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_can_be_stopped() {
    let mut shared = Shared::start().await;
    shared.postgres.stop().await;
    let mut node = shared.serve("jobs", "jobs", &[]);
    node.health_says(false, "catalog").await;
    node.signal(Signal::SIGTERM);
    assert_eq!(node.ended().await.code(), Some(0));
}
