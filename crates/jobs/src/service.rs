//! The gRPC service: requests to the catalog, rows to messages.

use reelway::v1::{self, job_service_server::JobServiceServer};
use reelway_blob::Store;
use reelway_catalog::{Catalog, Job};
use reelway_domain::{Failure, SourceRules, limits};
use reelway_rpc::{PlaybackUrls, to_status};
use tonic::{Request, Response, Status};

use crate::caller::Caller;

/// Answers JobService. A layer in front of it finds out who calls; without one nobody is answered.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) urls: PlaybackUrls,
    pub(crate) source_rules: SourceRules,
}

impl Jobs {
    /// A service over a catalog, with the store that holds what jobs made and the URLs under which players find it.
    #[must_use]
    pub fn new(catalog: Catalog, store: impl Into<Store>, urls: PlaybackUrls) -> Self {
        let store = store.into();
        Self {
            catalog,
            store,
            urls,
            source_rules: SourceRules::default(),
        }
    }

    /// The same service, with rules of what becomes of sources.
    #[must_use]
    pub fn with_source_rules(mut self, rules: SourceRules) -> Self {
        self.source_rules = rules;
        self
    }

    /// The service for a gRPC server.
    #[must_use]
    pub fn into_service(self) -> JobServiceServer<Self> {
        JobServiceServer::new(self).max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
    }

    pub(crate) fn told(&self, job: &Job) -> Option<v1::Job> {
        Some(reelway_view::job(job, &self.urls))
    }

    fn caller<'a, T>(&'a self, request: &'a Request<T>) -> Result<Caller<'a>, Status> {
        Caller::of(self, request).map_err(|failure| to_status(&failure))
    }
}

/// What a method of the service answers.
fn answer<T>(result: Result<T, Failure>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|failure| to_status(&failure))
}

#[tonic::async_trait]
impl v1::job_service_server::JobService for Jobs {
    async fn create_job(
        &self,
        request: Request<v1::CreateJobRequest>,
    ) -> Result<Response<v1::CreateJobResponse>, Status> {
        let job = self.caller(&request)?.create(request.get_ref()).await;
        answer(job.map(|job| v1::CreateJobResponse { job: self.told(&job) }))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::GetJobResponse>, Status> {
        let job = self.caller(&request)?.get(&request.get_ref().job_id).await;
        answer(job.map(|job| v1::GetJobResponse { job: self.told(&job) }))
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        answer(self.caller(&request)?.list(request.get_ref()).await)
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let tasks = self.caller(&request)?.tasks(&request.get_ref().job_id).await;
        answer(tasks.map(|tasks| v1::ListTasksResponse { tasks }))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let job = self.caller(&request)?.cancel(&request.get_ref().job_id).await;
        answer(job.map(|job| v1::CancelJobResponse { job: self.told(&job) }))
    }

    async fn retry_job(&self, request: Request<v1::RetryJobRequest>) -> Result<Response<v1::RetryJobResponse>, Status> {
        let job = self.caller(&request)?.retry(&request.get_ref().job_id).await;
        answer(job.map(|job| v1::RetryJobResponse { job: self.told(&job) }))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        let deleted = self.caller(&request)?.delete(&request.get_ref().job_id).await;
        answer(deleted.map(|()| v1::DeleteJobResponse {}))
    }
}
