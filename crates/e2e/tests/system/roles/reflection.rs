//! What strangers find on each role's port: its own service and no other.

use std::collections::BTreeSet;

use reelway::v1::{self, job_service_client::JobServiceClient};

use super::GRPC_ROLES;
use crate::harness::{Role, Shape, System, buf_path, tool};

/// The services that every server has.
const COMMON: &str = "grpc.";

#[tokio::test(flavor = "multi_thread")]
async fn each_port_reflects_its_own_service() {
    let system = System::split(Shape {
        worker: 0,
        ..Shape::default()
    })
    .await;
    let buf = buf_path().display().to_string();
    for (role, service) in GRPC_ROLES {
        let url = system.server(role, 0).grpc_url();
        let curl = [
            "curl",
            "--http2-prior-knowledge",
            "--protocol",
            "grpc",
            "--list-methods",
        ];
        let methods = tool(&buf, &[&curl[..], &[&url]].concat()).await;
        let services: BTreeSet<&str> = methods
            .lines()
            .filter_map(|line| Some(line.split_once('/')?.0))
            .collect();
        let own: Vec<_> = services.iter().filter(|name| !name.starts_with(COMMON)).collect();
        assert_eq!(own, [&service], "{methods}");
        assert!(services.contains("grpc.health.v1.Health"), "{methods}");
    }
    let elsewhere = JobServiceClient::new(system.server(Role::Upload, 0).channel().await)
        .list_jobs(v1::ListJobsRequest::default())
        .await
        .expect_err("jobs are elsewhere");
    assert_eq!(elsewhere.code(), tonic::Code::Unimplemented, "{elsewhere:?}");
}
