//! One gRPC server: its services, with what every server offers besides.

mod descriptors;
mod metrics;
mod transport;

use std::{collections::HashSet, convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;
use tower::Service;

use metrics::RpcMetricsLayer;
pub use transport::STREAM_WINDOW_BYTES;

/// A gRPC server could not be started, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport ended.
    #[error("the gRPC transport ended: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors that reflection serves can't be read.
    #[error("the descriptors for reflection are broken: {0}")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// A gRPC server in the making. Health, reflection (v1 and v1alpha), gRPC-Web and metrics come with it.
#[derive(Debug)]
pub struct GrpcServer {
    listener: TcpListener,
    routes: RoutesBuilder,
    services: Vec<&'static str>,
    stream_window: Option<u32>,
}

impl GrpcServer {
    /// A server without services yet. The listener is bound before anything slow happens, by whoever puts the node
    /// together.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            routes: RoutesBuilder::default(),
            services: Vec::new(),
            stream_window: None,
        }
    }

    /// Adds a service; it appears in health and reflection by its name. Limits on its messages are set on the service
    /// itself (`max_decoding_message_size`).
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self.services.push(S::NAME);
        self
    }

    /// Lets clients send so many bytes ahead on one stream, within [`STREAM_WINDOW_BYTES`]; `None` for the default.
    #[must_use]
    pub fn stream_window(mut self, bytes: Option<u32>) -> Self {
        self.stream_window = bytes;
        self
    }

    /// Serves until `shutdown` is ready. Then health says NOT_SERVING, no connection is accepted any more, and calls
    /// under way have `grace` to end.
    ///
    /// A call that has not ended by then is left to whoever ends the process: tonic would wait for it without limit.
    /// Services that stream should end their streams by themselves at shutdown.
    ///
    /// # Errors
    /// If the server can't be started or stops by itself.
    pub async fn serve(self, shutdown: impl Future<Output = ()>, grace: Duration) -> Result<(), ServeError> {
        let Self {
            listener,
            mut routes,
            services,
            stream_window,
        } = self;
        let (health, health_service) = tonic_health::server::health_reporter();
        set_health(&health, &services, ServingStatus::Serving).await;
        routes
            .add_service(health_service)
            .add_service(descriptors::reflection(&services).build_v1()?)
            .add_service(descriptors::reflection(&services).build_v1alpha()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = pin!(
            transport::builder(stream_window)
                .layer(GrpcWebLayer::new())
                .layer(RpcMetricsLayer::new(descriptors::methods()))
                .add_routes(routes.routes())
                .serve_with_incoming_shutdown(transport::incoming(listener), async {
                    // The sender is dropped, and never used otherwise.
                    let _ = stopped.await;
                })
        );
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = shutdown => {}
        }
        set_health(&health, &services, ServingStatus::NotServing).await;
        drop(stop);
        match tokio::time::timeout(grace, serving).await {
            Ok(ended) => Ok(ended?),
            Err(_) => {
                tracing::warn!(
                    grace_ms = grace.as_millis(),
                    ?services,
                    "calls were still open after the grace period"
                );
                Ok(())
            }
        }
    }
}

/// Sets the state of each service and of the whole server, which has the empty name.
async fn set_health(health: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in services.iter().chain([&""]) {
        health.set_service_status(service, status).await;
    }
}

/// Which methods there are, each as `/package.Service/Method`.
type Methods = Arc<HashSet<Arc<str>>>;

#[cfg(test)]
mod tests;
