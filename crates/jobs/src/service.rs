//! The gRPC service: requests to the catalog, rows to messages.

use reelway::v1::{self, job_service_server::JobServiceServer};
use reelway_blob::DiskStore;
use reelway_catalog::{Cancelled, Catalog, Deleted, Error, Job, Retried};
use reelway_domain::{Failure, JobId, JobState, Reason, Tenant, UploadId, UploadState, limits};
use reelway_rpc::{PlaybackUrls, request::require_id, to_status};
use tonic::{Request, Response, Status};

/// Answers JobService.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(crate) catalog: Catalog,
    pub(crate) store: DiskStore,
    pub(crate) urls: PlaybackUrls,
    pub(crate) tenant: Tenant,
}

impl Jobs {
    /// A service over a catalog, with the store that holds what jobs made and the URLs under which players find it.
    #[must_use]
    pub fn new(catalog: Catalog, store: DiskStore, urls: PlaybackUrls) -> Self {
        Self {
            catalog,
            store,
            urls,
            tenant: Tenant::single(),
        }
    }

    /// The service for a gRPC server.
    #[must_use]
    pub fn into_service(self) -> JobServiceServer<Self> {
        JobServiceServer::new(self).max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
    }

    pub(crate) fn told(&self, job: &Job) -> Option<v1::Job> {
        Some(reelway_view::job(job, &self.urls))
    }

    async fn get(&self, asked: &str) -> Result<Job, Failure> {
        let id = require_id::<JobId>("job_id", asked)?;
        self.catalog.job(&self.tenant, id).await?.ok_or_else(|| not_found(id))
    }

    async fn cancel(&self, asked: &str) -> Result<Job, Failure> {
        let id = require_id("job_id", asked)?;
        match self.catalog.cancel_job(&self.tenant, id).await? {
            Cancelled::Job(job) => Ok(job),
            Cancelled::Unknown => Err(not_found(id)),
        }
    }

    async fn retry(&self, asked: &str) -> Result<Job, Failure> {
        let id = require_id("job_id", asked)?;
        let job = match self.catalog.retry_job(&self.tenant, id).await? {
            Retried::Queued(job) => return Ok(job),
            Retried::Refused(job) => job,
            Retried::Unknown => return Err(not_found(id)),
        };
        let advice = match job.state {
            JobState::Queued | JobState::Running => "it has not ended; cancel it first",
            JobState::Succeeded => "it succeeded; create another job to make the video again",
            JobState::Failed | JobState::Cancelled => {
                self.upload_must_be_usable(job.upload).await?;
                "it ended in this moment; try again"
            }
        };
        Err(conflict(&job, "can't be retried", advice))
    }

    /// Refuses an upload that came to nothing.
    async fn upload_must_be_usable(&self, id: UploadId) -> Result<(), Failure> {
        let upload = self.catalog.upload(&self.tenant, id).await?;
        match upload.map(|upload| upload.state) {
            Some(state) if !matches!(state, UploadState::Receiving | UploadState::Complete) => {
                Err(Error::UploadEnded { id, state }.into())
            }
            _ => Ok(()),
        }
    }

    async fn delete(&self, asked: &str) -> Result<(), Failure> {
        let id = require_id("job_id", asked)?;
        match self.catalog.delete_job(&self.tenant, id).await? {
            Deleted::Gone => {}
            Deleted::Refused(job) => return Err(conflict(&job, "can't be deleted", "cancel it first")),
            Deleted::Unknown => return Err(not_found(id)),
        }
        // Only now, or a crash in between would leave a job that lost its video. What stays is the sweeper's.
        if let Err(error) = self.store.output(id).remove().await {
            tracing::warn!(job = %id, %error, "outputs of a deleted job could not be removed yet");
        }
        Ok(())
    }

    async fn tasks(&self, asked: &str) -> Result<Vec<v1::Task>, Failure> {
        let job = self.get(asked).await?;
        let tasks = self.catalog.tasks(&self.tenant, job.id).await?;
        Ok(tasks.iter().map(reelway_view::task).collect())
    }
}

fn not_found(job: JobId) -> Failure {
    Failure::new(Reason::JobNotFound, "there is no such job").with("jobId", job)
}

fn conflict(job: &Job, refused: &str, advice: &str) -> Failure {
    let message = format!("the job is {} and {refused}: {advice}", job.state);
    Failure::new(Reason::JobStateConflict, message)
        .with("jobId", job.id)
        .with("state", job.state)
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
        let job = self.create(&request.into_inner()).await;
        answer(job.map(|job| v1::CreateJobResponse { job: self.told(&job) }))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::GetJobResponse>, Status> {
        let job = self.get(&request.get_ref().job_id).await;
        answer(job.map(|job| v1::GetJobResponse { job: self.told(&job) }))
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        answer(self.list(request.get_ref()).await)
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let tasks = self.tasks(&request.get_ref().job_id).await;
        answer(tasks.map(|tasks| v1::ListTasksResponse { tasks }))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let job = self.cancel(&request.get_ref().job_id).await;
        answer(job.map(|job| v1::CancelJobResponse { job: self.told(&job) }))
    }

    async fn retry_job(&self, request: Request<v1::RetryJobRequest>) -> Result<Response<v1::RetryJobResponse>, Status> {
        let job = self.retry(&request.get_ref().job_id).await;
        answer(job.map(|job| v1::RetryJobResponse { job: self.told(&job) }))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        let deleted = self.delete(&request.get_ref().job_id).await;
        answer(deleted.map(|()| v1::DeleteJobResponse {}))
    }
}
