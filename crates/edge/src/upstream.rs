//! The services behind the edge: in this process, or over the network. Whoever calls doesn't know which.

use std::convert::Infallible;

use http::{Request, Response};
use reelway::v1::{progress_service_client::ProgressServiceClient, upload_service_client::UploadServiceClient};
use reelway_domain::limits;
use tonic::{Status, body::Body, transport::Channel};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

/// One gRPC service, wherever it runs.
pub type GrpcService = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// A service of this process, called without a connection. [`reelway_rpc::send_directly`] spares it the encoding too.
pub fn in_process<S>(service: S) -> GrpcService
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|never| match never {}))
}

/// A service of another process.
pub fn remote(channel: Channel) -> GrpcService {
    BoxCloneSyncService::new(channel.map_err(|error| Status::from_error(Box::new(error))))
}

/// All services that the edge calls.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// UploadService.
    pub uploads: GrpcService,
    /// JobService.
    pub jobs: GrpcService,
    /// ProgressService.
    pub progress: GrpcService,
}

impl Upstream {
    pub(crate) fn uploads(&self) -> UploadServiceClient<GrpcService> {
        UploadServiceClient::new(self.uploads.clone()).max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
    }

    pub(crate) fn progress(&self) -> ProgressServiceClient<GrpcService> {
        ProgressServiceClient::new(self.progress.clone())
    }
}
