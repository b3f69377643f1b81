//! What a caller may do with the jobs of its tenant, and with no other's: those are as if they weren't there.

use reelway::v1;
use reelway_auth::Identity;
use reelway_catalog::{Cancelled, Deleted, Error, Job, Retried};
use reelway_domain::{Failure, JobId, JobState, Reason, SourceState, Tenant, UploadId, UploadState};
use reelway_rpc::request::require_id;
use tonic::Request;

use crate::Jobs;

/// The service on behalf of one caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) jobs: &'a Jobs,
    pub(crate) tenant: &'a Tenant,
}

impl<'a> Caller<'a> {
    /// Whoever sent a request.
    ///
    /// # Errors
    /// `INTERNAL` if nobody has found out who that is.
    pub(crate) fn of<T>(jobs: &'a Jobs, request: &'a Request<T>) -> Result<Self, Failure> {
        let tenant = &Identity::of(request.extensions())?.tenant;
        Ok(Self { jobs, tenant })
    }

    /// Finds a job.
    pub(crate) async fn get(&self, asked: &str) -> Result<Job, Failure> {
        let id = require_id::<JobId>("job_id", asked)?;
        self.jobs
            .catalog
            .job(self.tenant, id)
            .await?
            .ok_or_else(|| not_found(id))
    }

    /// Ends a job, or finds it ended.
    pub(crate) async fn cancel(&self, asked: &str) -> Result<Job, Failure> {
        let id = require_id("job_id", asked)?;
        match self.jobs.catalog.cancel_job(self.tenant, id).await? {
            Cancelled::Job(job) => Ok(job),
            Cancelled::Unknown => Err(not_found(id)),
        }
    }

    /// Starts a job again that failed or was cancelled.
    pub(crate) async fn retry(&self, asked: &str) -> Result<Job, Failure> {
        let id = require_id("job_id", asked)?;
        let job = match self.jobs.catalog.retry_job(self.tenant, id).await? {
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

    /// Refuses an upload that came to nothing, or whose bytes were removed.
    async fn upload_must_be_usable(&self, id: UploadId) -> Result<(), Failure> {
        let upload = self.jobs.catalog.upload(self.tenant, id).await?;
        match upload.map(|upload| (upload.state, upload.source_state)) {
            Some((UploadState::Complete, SourceState::Removed)) => Err(Error::SourceRemoved(id).into()),
            Some((UploadState::Receiving | UploadState::Complete, _)) | None => Ok(()),
            Some((state, _)) => Err(Error::UploadEnded { id, state }.into()),
        }
    }

    /// Removes a job that has ended, with all that it made.
    pub(crate) async fn delete(&self, asked: &str) -> Result<(), Failure> {
        let id = require_id("job_id", asked)?;
        match self.jobs.catalog.delete_job(self.tenant, id).await? {
            Deleted::Gone => {}
            Deleted::Refused(job) => return Err(conflict(&job, "can't be deleted", "cancel it first")),
            Deleted::Unknown => return Err(not_found(id)),
        }
        // Only now, or a crash in between would leave a job that lost its video. What stays is the sweeper's.
        if let Err(error) = self.jobs.store.output(id).remove().await {
            tracing::warn!(job = %id, %error, "outputs of a deleted job could not be removed yet");
        }
        Ok(())
    }

    /// Lists a job's tasks.
    pub(crate) async fn tasks(&self, asked: &str) -> Result<Vec<v1::Task>, Failure> {
        let job = self.get(asked).await?;
        let tasks = self.jobs.catalog.tasks(self.tenant, job.id).await?;
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
