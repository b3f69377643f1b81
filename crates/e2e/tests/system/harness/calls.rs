//! Calls as a client of the system makes them.

use std::{path::Path, time::Duration};

use reelway::v1::{self, progress_service_client::ProgressServiceClient, upload_service_client::UploadServiceClient};
use reelway_client::{Client, Endpoints, UploadProgress};
use tokio::sync::watch;
use tonic::transport::Channel;

use super::{server::Role, system::System, within};

impl System {
    /// The client that users have, of the first server of each role.
    pub(crate) fn client(&self) -> Client {
        self.client_of(0)
    }

    /// The client that users have, of the n-th upload server and the n-th of the others.
    pub(crate) fn client_of(&self, n: usize) -> Client {
        let endpoints = Endpoints {
            upload: self.server(Role::Upload, n).grpc_url(),
            jobs: self.server(Role::Jobs, n).grpc_url(),
            progress: self.server(Role::Progress, n).grpc_url(),
        };
        Client::connect(&endpoints).expect("addresses")
    }

    /// The n-th upload server over a connection of its own, without any help.
    pub(crate) async fn uploads_of(&self, n: usize) -> UploadServiceClient<Channel> {
        UploadServiceClient::new(self.server(Role::Upload, n).channel().await)
    }

    /// The upload service over a connection of its own, without any help.
    pub(crate) async fn uploads(&self) -> UploadServiceClient<Channel> {
        self.uploads_of(0).await
    }

    /// The progress service over a connection of its own, without any help.
    pub(crate) async fn progress(&self) -> ProgressServiceClient<Channel> {
        ProgressServiceClient::new(self.server(Role::Progress, 0).channel().await)
    }

    /// Uploads a file, and gives the complete upload.
    pub(crate) async fn upload(&self, path: &Path, preset: &str) -> v1::Upload {
        let request = v1::CreateUploadRequest {
            size_bytes: Some(i64::try_from(path.metadata().expect("a file").len()).expect("a length")),
            file_name: path.file_name().expect("a name").to_string_lossy().into_owned(),
            preset: preset.to_owned(),
            ..Default::default()
        };
        upload(&self.client(), request, path).await
    }

    /// The job as it is.
    pub(crate) async fn job(&self, job_id: &str) -> v1::Job {
        let request = v1::GetJobRequest {
            job_id: job_id.to_owned(),
        };
        self.client().get_job(request).await.expect("a job")
    }

    /// The job's tasks as they are.
    pub(crate) async fn tasks(&self, job_id: &str) -> Vec<v1::Task> {
        let request = v1::ListTasksRequest {
            job_id: job_id.to_owned(),
        };
        self.client().list_tasks(request).await.expect("tasks")
    }

    /// The job once it has ended.
    pub(crate) async fn job_ended(&self, job_id: &str, limit: Duration) -> v1::Job {
        within(limit, "the job's end", async || {
            let job = self.job(job_id).await;
            let is_over = !matches!(job.state(), v1::JobState::Queued | v1::JobState::Running);
            is_over.then_some(job)
        })
        .await
    }
}

/// Creates an upload and sends the file whatever happens to the connection. Gives the complete upload.
pub(crate) async fn upload(client: &Client, request: v1::CreateUploadRequest, path: &Path) -> v1::Upload {
    let upload = client.create_upload(request).await.expect("an upload");
    let progress = watch::Sender::new(UploadProgress::default());
    client
        .upload_file(upload, path, &progress)
        .await
        .expect("a complete upload")
}
