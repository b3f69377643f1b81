//! One gRPC server: its services, with what every server offers besides.

mod accepted;
mod descriptors;
mod health;
mod metrics;
mod tls;
mod trace;
pub mod transport;

use std::{collections::HashSet, convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service};

pub use accepted::Accepted;
use health::Health;
use metrics::RpcMetricsLayer;
pub use tls::{ServerTls, TlsError, TlsFiles};
pub use transport::STREAM_WINDOW_BYTES;
use transport::Transport;

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
    services: Vec<(&'static str, watch::Receiver<bool>)>,
    transport: Transport,
    tls: Option<ServerTls>,
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
            transport: Transport::default(),
            tls: None,
        }
    }

    /// Serves within TLS; `None` changes nothing.
    #[must_use]
    pub fn tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls.or(self.tls);
        self
    }

    /// Adds a service that serves for as long as the server does.
    #[must_use]
    pub fn add_service<S>(self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.add_service_while(service, watch::channel(true).1)
    }

    /// Adds a service; it appears in health and reflection by its name, and health says SERVING while `ready` is true. Its
    /// calls are answered either way. Limits on its messages are set on the service itself (`max_decoding_message_size`).
    #[must_use]
    pub fn add_service_while<S>(mut self, service: S, ready: watch::Receiver<bool>) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self.services.push((S::NAME, ready));
        self
    }

    /// Lets clients send so many bytes ahead on one stream, within [`STREAM_WINDOW_BYTES`]; `None` for the default.
    #[must_use]
    pub fn stream_window(mut self, bytes: Option<u32>) -> Self {
        self.transport.stream_window = bytes;
        self
    }

    /// Asks each client to connect again when its connection is so old, give or take a tenth, so that a server that was
    /// added gets its share. Calls on the old connection go on to their end.
    #[must_use]
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.transport.connection_age_max = Some(age);
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
            transport,
            tls,
        } = self;
        let names: Vec<&'static str> = services.iter().map(|(name, _)| *name).collect();
        let (mut health, health_service) = Health::new(services).await;
        routes
            .add_service(health_service)
            .add_service(descriptors::reflection(&names).build_v1()?)
            .add_service(descriptors::reflection(&names).build_v1alpha()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = pin!(
            transport
                .builder()
                .layer(GrpcWebLayer::new())
                .layer(RpcMetricsLayer::new(descriptors::methods()))
                .add_routes(routes.routes())
                .serve_with_incoming_shutdown(transport::incoming(listener, tls), async {
                    // The sender is dropped, and never used otherwise.
                    let _ = stopped.await;
                })
        );
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            never = health.follow() => match never {},
            () = shutdown => {}
        }
        health.end().await;
        drop(stop);
        match tokio::time::timeout(grace, serving).await {
            Ok(ended) => Ok(ended?),
            Err(_) => {
                tracing::warn!(
                    grace_ms = grace.as_millis(),
                    services = ?names,
                    "calls were still open after the grace period"
                );
                Ok(())
            }
        }
    }
}

/// A service that is called without a server, with the spans and the metrics that a server would add.
pub fn observed<S>(
    service: S,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
+ Clone
+ Send
+ Sync
+ 'static
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    RpcMetricsLayer::new(descriptors::methods()).layer(service)
}

/// Which methods there are, each as `/package.Service/Method`.
type Methods = Arc<HashSet<Arc<str>>>;

#[cfg(test)]
mod tests;
