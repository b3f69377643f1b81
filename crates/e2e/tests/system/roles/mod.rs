//! Servers of one role each: how they say that they are well, what they answer, and how they stop.

mod combined;
mod connections;
mod drain;
mod health;
mod moving;
mod reflection;
mod refusals;

use tonic::Streaming;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::harness::{Role, Server};

/// The roles that answer gRPC calls, with their services.
const GRPC_ROLES: [(Role, &str); 3] = [
    (Role::Upload, "reelway.v1.UploadService"),
    (Role::Jobs, "reelway.v1.JobService"),
    (Role::Progress, "reelway.v1.ProgressService"),
];

/// What a server says of one of its services, each time that it changes, as a load balancer would follow it.
struct Health {
    told: Streaming<HealthCheckResponse>,
}

impl Health {
    async fn of(server: &Server, service: &str) -> Self {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut client = HealthClient::new(server.channel().await);
        let told = client.watch(request).await.expect("a stream").into_inner();
        Self { told }
    }

    /// Waits for the next thing that it says.
    async fn says(&mut self, what: ServingStatus) {
        let next = self.told.message().await.expect("a message");
        assert_eq!(next.expect("the stream goes on").status(), what);
    }
}
