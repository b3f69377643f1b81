//! The gRPC service.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use reelway::v1::{self, progress_service_server::ProgressServiceServer};
use reelway_auth::Identity;
use reelway_catalog::Catalog;
use reelway_domain::{Failure, limits};
use reelway_rpc::{PlaybackUrls, to_status};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    Hub, Pace,
    messages::{Answer, messages},
    one::One,
    target,
    watch::{Sources, Watch},
};

/// Answers ProgressService. A layer in front of it finds out who calls; without one nobody is answered.
#[derive(Debug, Clone)]
pub struct Progress {
    catalog: Catalog,
    hub: Arc<Hub>,
    urls: PlaybackUrls,
    pace: Pace,
    shutdown: CancellationToken,
}

impl Progress {
    /// A service over a catalog and the server's hub. With `shutdown` every watch ends with `SHUTTING_DOWN`, so that its
    /// client goes on elsewhere and the server needn't wait.
    #[must_use]
    pub fn new(catalog: Catalog, hub: Arc<Hub>, urls: PlaybackUrls, shutdown: CancellationToken) -> Self {
        Self {
            catalog,
            hub,
            urls,
            pace: Pace::default(),
            shutdown,
        }
    }

    /// The same at another pace.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The service for a gRPC server.
    #[must_use]
    pub fn into_service(self) -> ProgressServiceServer<Self> {
        ProgressServiceServer::new(self).max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
    }

    async fn get(&self, request: &Request<v1::GetProgressRequest>) -> Result<v1::Progress, Failure> {
        let sources = self.sources_of(request)?;
        let target = target::to_get(request.get_ref().target.as_ref())?;
        let mut subscription = sources.hub.subscribe();
        let mut one = One::open(&sources, target, None, &mut subscription).await?;
        one.snapshot(&sources).await
    }

    async fn watch(&self, request: &Request<v1::WatchProgressRequest>) -> Result<Watch, Failure> {
        let sources = self.sources_of(request)?;
        let asked = request.get_ref();
        let target = target::to_watch(asked.target.as_ref())?;
        Watch::open(sources, self.pace, self.shutdown.clone(), target, &asked.resume_token).await
    }

    /// What whoever sent a request may see.
    fn sources_of<T>(&self, request: &Request<T>) -> Result<Sources, Failure> {
        Ok(Sources {
            catalog: self.catalog.clone(),
            hub: Arc::clone(&self.hub),
            urls: self.urls.clone(),
            tenant: Identity::of(request.extensions())?.tenant.clone(),
        })
    }
}

#[tonic::async_trait]
impl v1::progress_service_server::ProgressService for Progress {
    type WatchProgressStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn get_progress(
        &self,
        request: Request<v1::GetProgressRequest>,
    ) -> Result<Response<v1::GetProgressResponse>, Status> {
        let progress = self.get(&request).await.map_err(|failure| to_status(&failure))?;
        Ok(Response::new(v1::GetProgressResponse {
            progress: Some(progress),
        }))
    }

    async fn watch_progress(
        &self,
        request: Request<v1::WatchProgressRequest>,
    ) -> Result<Response<Self::WatchProgressStream>, Status> {
        let watch = self.watch(&request).await.map_err(|failure| to_status(&failure))?;
        Ok(Response::new(Box::pin(messages(watch))))
    }
}
