//! What is another tenant's is as if it weren't there.

use reelway::v1;
use reelway_auth::Identity;
use reelway_domain::{Failure, JobId, Reason, Tenant, UploadId};
use tonic::transport::Channel;

use super::{JobServiceClient, cancel, create, created, delete, named, refusal, retry, serve, serve_to};
use crate::testing::Fixture;

type Client = JobServiceClient<Channel>;

async fn stranger(fixture: &Fixture) -> Client {
    let identity = Identity {
        tenant: Tenant::named("stranger").unwrap(),
        ..Identity::anybody()
    };
    serve_to(fixture, Some(identity)).await
}

/// What every method that names a job or an upload refuses with.
async fn refusals(client: &mut Client, job: &str, upload: UploadId) -> Vec<Failure> {
    let with_request_id = v1::CreateJobRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        ..create(upload)
    };
    vec![
        refusal(client.get_job(named(job, |job_id| v1::GetJobRequest { job_id })).await),
        refusal(
            client
                .list_tasks(named(job, |job_id| v1::ListTasksRequest { job_id }))
                .await,
        ),
        refusal(cancel(client, job).await),
        refusal(retry(client, job).await),
        refusal(delete(client, job).await),
        refusal(client.create_job(create(upload)).await),
        refusal(client.create_job(with_request_id).await),
    ]
}

async fn listed(client: &mut Client, request: v1::ListJobsRequest) -> Vec<String> {
    let page = client.list_jobs(request).await.unwrap().into_inner();
    assert_eq!(page.next_page_token, "");
    page.jobs.into_iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn what_is_another_tenants_is_not_found() {
    let fixture = Fixture::new().await;
    let (mut owner, mut other) = (serve(&fixture).await, stranger(&fixture).await);
    let upload = fixture.upload_with_job().await;
    let job = upload.job.unwrap().to_string();

    let (unknown_job, unknown_upload) = (JobId::new().to_string(), UploadId::new());
    let said = |failures: Vec<Failure>, job: &str, upload: UploadId| -> Vec<String> {
        let said = failures.iter().map(|failure| format!("{failure:?}"));
        said.map(|said| said.replace(job, "JOB").replace(&upload.to_string(), "UPLOAD"))
            .collect()
    };
    let of_nothing = refusals(&mut other, &unknown_job, unknown_upload).await;
    let of_nothing = said(of_nothing, &unknown_job, unknown_upload);
    for cancelled in [false, true] {
        let of_theirs = refusals(&mut other, &job, upload.id).await;
        assert!(
            of_theirs
                .iter()
                .all(|f| matches!(f.reason, Reason::JobNotFound | Reason::UploadNotFound))
        );
        assert_eq!(said(of_theirs, &job, upload.id), of_nothing);
        if !cancelled {
            cancel(&mut owner, &job).await.unwrap();
        }
    }
    let of_upload = v1::ListJobsRequest {
        upload_id: upload.id.to_string(),
        ..Default::default()
    };
    for request in [v1::ListJobsRequest::default(), of_upload] {
        assert_eq!(listed(&mut other, request.clone()).await, Vec::<String>::new());
        assert_eq!(listed(&mut owner, request).await, [job.as_str()]);
    }
}

#[tokio::test]
async fn a_request_id_belongs_to_its_tenant() {
    let fixture = Fixture::new().await;
    let (mut owner, mut other) = (serve(&fixture).await, stranger(&fixture).await);
    let upload = fixture.upload_with_job().await;
    let request = v1::CreateJobRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        ..create(upload.id)
    };
    let job = created(&mut owner, request.clone()).await;
    assert_eq!(
        refusal(other.create_job(request.clone()).await).reason,
        Reason::UploadNotFound
    );
    assert_eq!(created(&mut owner, request).await.id, job.id);
}

#[tokio::test]
async fn without_an_identity_nothing_is_answered() {
    let fixture = Fixture::new().await;
    let mut nobody = serve_to(&fixture, None).await;
    let upload = fixture.upload_with_job().await;
    let mut refused = refusals(&mut nobody, &upload.job.unwrap().to_string(), upload.id).await;
    refused.push(refusal(nobody.list_jobs(v1::ListJobsRequest::default()).await));
    assert!(
        refused.iter().all(|failure| failure.reason == Reason::Internal),
        "{refused:?}"
    );
}
