//! A server on a port, and clients of it.

use std::task::{Context, Poll};

use reelway::v1::upload_service_client::UploadServiceClient;
use reelway_auth::Identity;
use reelway_rpc::GrpcServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    transport::Channel,
};

use super::wait::PATIENCE;
use crate::UploadServer;

/// A service whose callers are all the same.
#[derive(Clone)]
struct As<S> {
    inner: S,
    identity: Identity,
}

impl<S: NamedService> NamedService for As<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for As<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> S::Future {
        request.extensions_mut().insert(self.identity.clone());
        self.inner.call(request)
    }
}

/// Serves everybody as this caller, as the layer in front of the service would have found out.
pub(super) async fn serve(server: &UploadServer, identity: Identity, shutdown: &CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = As {
        inner: server.clone().into_service(),
        identity,
    };
    let grpc = GrpcServer::new(listener).add_service(service);
    tokio::spawn(grpc.serve(shutdown.clone().cancelled_owned(), PATIENCE));
    address
}

pub(crate) async fn connect(address: &str) -> UploadServiceClient<Channel> {
    let endpoint = Channel::from_shared(address.to_owned()).unwrap();
    UploadServiceClient::new(endpoint.connect().await.unwrap())
}
