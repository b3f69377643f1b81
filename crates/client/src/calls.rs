//! The calls that aren't streams.

use reelway::v1;

use crate::{Client, Error, client::Repeat};

/// A resource that every good answer holds.
pub(crate) fn present<T>(resource: Option<T>) -> Result<T, Error> {
    resource.ok_or(Error::Contract("the resource is missing"))
}

/// Writes the wrappers: a request in, what matters of the answer out.
macro_rules! calls {
    ($($(#[$doc:meta])* $service:ident.$name:ident($request:ident) -> $output:ty, $repeat:ident, $answer:ident => $result:expr;)+) => {
        impl Client {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`Error::Refused`] if the server refuses or stays out of reach.
                pub async fn $name(&self, request: v1::$request) -> Result<$output, Error> {
                    let call = |request| {
                        let mut service = self.$service.clone();
                        async move { service.$name(request).await }
                    };
                    let $answer = self.call(Repeat::$repeat, request, call).await?;
                    $result
                }
            )+
        }
    };
}

calls! {
    /// Creates an upload. The request should have a `request_id`: it makes a repeated call find the first one's upload.
    uploads.create_upload(CreateUploadRequest) -> v1::Upload, Safe, answer => present(answer.upload);
    /// Tells where an upload stands.
    uploads.get_upload(GetUploadRequest) -> v1::Upload, Safe, answer => present(answer.upload);
    /// Lists uploads, newest first.
    uploads.list_uploads(ListUploadsRequest) -> v1::ListUploadsResponse, Safe, answer => Ok(answer);
    /// Asks which parts of an upload are due that a client puts into the bucket itself.
    uploads.create_upload_parts(CreateUploadPartsRequest) -> v1::CreateUploadPartsResponse, Safe, answer => Ok(answer);
    /// Tells which of them are there.
    uploads.report_upload_parts(ReportUploadPartsRequest) -> v1::ReportUploadPartsResponse, Safe, answer => Ok(answer);
    /// Gives an upload up.
    uploads.abort_upload(AbortUploadRequest) -> v1::Upload, Safe, answer => present(answer.upload);

    /// Creates a job. The request should have a `request_id`.
    jobs.create_job(CreateJobRequest) -> v1::Job, Safe, answer => present(answer.job);
    /// Tells where a job stands.
    jobs.get_job(GetJobRequest) -> v1::Job, Safe, answer => present(answer.job);
    /// Lists jobs, newest first.
    jobs.list_jobs(ListJobsRequest) -> v1::ListJobsResponse, Safe, answer => Ok(answer);
    /// Lists a job's tasks.
    jobs.list_tasks(ListTasksRequest) -> Vec<v1::Task>, Safe, answer => Ok(answer.tasks);
    /// Asks for a job's end.
    jobs.cancel_job(CancelJobRequest) -> v1::Job, Safe, answer => present(answer.job);
    /// Starts a job that has ended again.
    jobs.retry_job(RetryJobRequest) -> v1::Job, Never, answer => present(answer.job);
    /// Deletes a job that has ended.
    jobs.delete_job(DeleteJobRequest) -> (), Never, _answer => Ok(());

    /// Tells how far an upload or a job is.
    progress.get_progress(GetProgressRequest) -> v1::Progress, Safe, answer => present(answer.progress);
}
