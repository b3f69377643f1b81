//! JobService over a real connection.

mod tenants;

use std::time::Duration;

use reelway::v1::{
    self, create_job_request::Processing, job_service_client::JobServiceClient, job_service_server::JobServiceServer,
};
use reelway_auth::Identity;
use reelway_catalog::Effect;
use reelway_domain::{Failure, JobId, Reason, Tenant, UploadId, WorkerId};
use reelway_rpc::{PlaybackUrls, from_status};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::{
    Jobs,
    testing::{Fixture, new_upload},
};

async fn serve(fixture: &Fixture) -> JobServiceClient<Channel> {
    serve_to(fixture, Some(Identity::anybody())).await
}

/// A server that takes everybody for this caller, or asks nobody who they are.
async fn serve_to(fixture: &Fixture, identity: Option<Identity>) -> JobServiceClient<Channel> {
    let jobs = Jobs::new(
        fixture.catalog.clone(),
        fixture.bytes.clone(),
        PlaybackUrls::new("http://play"),
    );
    let service: JobServiceServer<Jobs> = jobs.into_service();
    let identify = move |mut request: tonic::Request<()>| {
        identity
            .clone()
            .map(|identity| request.extensions_mut().insert(identity));
        Ok(request)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(InterceptedService::new(service, identify))
            .serve_with_incoming(incoming),
    );
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    JobServiceClient::new(endpoint.connect_lazy())
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> Failure {
    from_status(&answer.unwrap_err()).unwrap()
}

fn create(upload: UploadId) -> v1::CreateJobRequest {
    v1::CreateJobRequest {
        upload_id: upload.to_string(),
        ..Default::default()
    }
}

fn named<T>(job: &str, make: impl FnOnce(String) -> T) -> T {
    make(job.to_owned())
}

async fn created(client: &mut JobServiceClient<Channel>, request: v1::CreateJobRequest) -> v1::Job {
    client.create_job(request).await.unwrap().into_inner().job.unwrap()
}

async fn cancel(client: &mut JobServiceClient<Channel>, id: &str) -> Result<v1::Job, Status> {
    let request = named(id, |job_id| v1::CancelJobRequest { job_id });
    Ok(client.cancel_job(request).await?.into_inner().job.unwrap())
}

async fn retry(client: &mut JobServiceClient<Channel>, id: &str) -> Result<v1::Job, Status> {
    let request = named(id, |job_id| v1::RetryJobRequest { job_id });
    Ok(client.retry_job(request).await?.into_inner().job.unwrap())
}

async fn delete(client: &mut JobServiceClient<Channel>, id: &str) -> Result<(), Status> {
    let request = named(id, |job_id| v1::DeleteJobRequest { job_id });
    client.delete_job(request).await.map(drop)
}

#[tokio::test]
async fn a_job_is_created_with_the_default_preset_and_found() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let upload = fixture.upload_with_job().await;
    let job = created(&mut client, create(upload.id)).await;
    assert_eq!((job.preset.as_str(), job.state()), ("standard", v1::JobState::Queued));
    assert_ne!(
        job.id,
        upload.job.unwrap().to_string(),
        "another job of the same upload"
    );

    let found = client
        .get_job(named(&job.id, |job_id| v1::GetJobRequest { job_id }))
        .await;
    assert_eq!(found.unwrap().into_inner().job.unwrap(), job);
    let tasks = client
        .list_tasks(named(&job.id, |job_id| v1::ListTasksRequest { job_id }))
        .await;
    let kinds: Vec<v1::TaskKind> = tasks.unwrap().into_inner().tasks.iter().map(v1::Task::kind).collect();
    assert_eq!(kinds, [v1::TaskKind::Probe, v1::TaskKind::Plan]);
}

#[tokio::test]
async fn a_ladder_of_the_callers_own() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let upload = fixture.upload_with_job().await;
    let rung = |short_side_pixels| v1::Rung {
        short_side_pixels,
        bitrate_max: 1_000_000,
    };
    let ladder = v1::Ladder {
        rungs: vec![rung(240), rung(480)],
        ..Default::default()
    };
    let request = v1::CreateJobRequest {
        processing: Some(Processing::Ladder(ladder)),
        ..create(upload.id)
    };
    let job = created(&mut client, request).await;
    let sides: Vec<i32> = job.ladder.unwrap().rungs.iter().map(|r| r.short_side_pixels).collect();
    assert_eq!((job.preset.as_str(), sides), ("", vec![480, 240]));
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let upload = fixture.upload_with_job().await;
    let request = v1::CreateJobRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        ..create(upload.id)
    };
    let first = created(&mut client, request.clone()).await;
    assert_eq!(created(&mut client, request.clone()).await.id, first.id);
    let other = v1::CreateJobRequest {
        processing: Some(Processing::Preset("fast".into())),
        ..request.clone()
    };
    assert_eq!(refusal(client.create_job(other).await).reason, Reason::RequestIdReused);

    // The first answer stands whatever became of the upload since.
    fixture
        .catalog
        .abort_upload(&Tenant::single(), upload.id)
        .await
        .unwrap();
    assert_eq!(created(&mut client, request.clone()).await.id, first.id);
    delete(&mut client, &first.id).await.unwrap();
    assert_eq!(
        refusal(client.create_job(request).await).reason,
        Reason::JobNotFound,
        "it was deleted"
    );
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let request = v1::CreateJobRequest {
        upload_id: "x".into(),
        processing: Some(Processing::Preset("none".into())),
        request_id: "x".into(),
        priority: 0,
        source_action: 0,
    };
    let failure = refusal(client.create_job(request).await);
    let fields: Vec<&str> = failure.violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["upload_id", "preset", "request_id"]);
}

#[tokio::test]
async fn uploads_that_came_to_nothing_are_refused() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let unknown = client.create_job(create(UploadId::new())).await;
    assert_eq!(refusal(unknown).reason, Reason::UploadNotFound);

    let aborted = fixture.upload_with_job().await;
    fixture
        .catalog
        .abort_upload(&Tenant::single(), aborted.id)
        .await
        .unwrap();
    let failed = fixture.upload_with_job().await;
    let why = Failure::new(Reason::FileChecksumMismatch, "other bytes");
    fixture
        .catalog
        .fail_upload(failed.id, failed.writer_epoch, &why)
        .await
        .unwrap();
    let mut new = new_upload();
    new.expiry = Duration::ZERO;
    let expired = fixture.create(new).await;
    while fixture.catalog.expire_uploads(10).await.unwrap() == 0 {}

    for (upload, reason) in [
        (aborted, Reason::UploadAborted),
        (failed, Reason::UploadFailed),
        (expired, Reason::UploadExpired),
    ] {
        assert_eq!(refusal(client.create_job(create(upload.id)).await).reason, reason);
        // Its own job ended with it and can't be brought back.
        let job = upload.job.unwrap().to_string();
        assert_eq!(refusal(retry(&mut client, &job).await).reason, reason);
    }
}

#[tokio::test]
async fn pages_hold_every_job_once_and_tokens_belong_to_their_filters() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, fixture.upload_with_job().await.job.unwrap().to_string());
    }
    let mut request = v1::ListJobsRequest {
        page_size: 2,
        state: v1::JobState::Queued.into(),
        ..Default::default()
    };
    let (mut found, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = client.list_jobs(request.clone()).await.unwrap().into_inner();
        sizes.push(page.jobs.len());
        found.extend(page.jobs.into_iter().map(|job| job.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((found, sizes), (expected, vec![2, 2, 1]));
    request.state = v1::JobState::Failed.into();
    assert_eq!(
        refusal(client.list_jobs(request).await).reason,
        Reason::PageTokenInvalid
    );
}

#[tokio::test]
async fn filters_choose_jobs() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let (one, two) = (fixture.upload_with_job().await, fixture.upload_with_job().await);
    cancel(&mut client, &two.job.unwrap().to_string()).await.unwrap();
    let (first, second) = (one.job.unwrap().to_string(), two.job.unwrap().to_string());
    let none = v1::ListJobsRequest::default;
    let long_ago = prost_types::Timestamp { seconds: 1, nanos: 0 };
    for (request, expected) in [
        (none(), vec![second.clone(), first.clone()]),
        (
            v1::ListJobsRequest {
                upload_id: one.id.to_string(),
                ..none()
            },
            vec![first.clone()],
        ),
        (
            v1::ListJobsRequest {
                state: v1::JobState::Cancelled.into(),
                ..none()
            },
            vec![second.clone()],
        ),
        (
            v1::ListJobsRequest {
                create_time_max: Some(long_ago),
                ..none()
            },
            vec![],
        ),
        (
            v1::ListJobsRequest {
                create_time_min: Some(long_ago),
                ..none()
            },
            vec![second, first],
        ),
    ] {
        let page = client.list_jobs(request.clone()).await.unwrap().into_inner();
        let found: Vec<String> = page.jobs.into_iter().map(|job| job.id).collect();
        assert_eq!(found, expected, "{request:?}");
    }
}

#[tokio::test]
async fn cancelling_twice_changes_nothing() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let id = fixture.upload_with_job().await.job.unwrap().to_string();
    let first = cancel(&mut client, &id).await.unwrap();
    assert_eq!(first.state(), v1::JobState::Cancelled);
    assert_eq!(cancel(&mut client, &id).await.unwrap(), first);
}

#[tokio::test]
async fn a_refusal_names_the_state_and_what_to_do() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let id = fixture.upload_with_job().await.job.unwrap().to_string();
    for failure in [
        refusal(retry(&mut client, &id).await),
        refusal(delete(&mut client, &id).await),
    ] {
        assert_eq!(failure.reason, Reason::JobStateConflict);
        assert_eq!(
            (failure.metadata["state"].as_str(), failure.metadata["jobId"].as_str()),
            ("queued", id.as_str())
        );
        assert!(failure.message.contains("cancel it first"), "{failure}");
    }
    cancel(&mut client, &id).await.unwrap();
    assert_eq!(retry(&mut client, &id).await.unwrap().state(), v1::JobState::Queued);
}

#[tokio::test]
async fn a_retried_job_keeps_what_was_done() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let job = fixture.complete_upload_with_job().await.job.unwrap();
    let claim = fixture
        .catalog
        .claim(WorkerId::new(), Duration::from_secs(60))
        .await
        .unwrap()
        .unwrap();
    fixture.catalog.succeed(&claim.task, "{}", &Effect::None).await.unwrap();
    cancel(&mut client, &job.to_string()).await.unwrap();
    retry(&mut client, &job.to_string()).await.unwrap();
    let tasks = client
        .list_tasks(named(&job.to_string(), |job_id| v1::ListTasksRequest { job_id }))
        .await;
    let states: Vec<v1::TaskState> = tasks.unwrap().into_inner().tasks.iter().map(v1::Task::state).collect();
    assert_eq!(states, [v1::TaskState::Succeeded, v1::TaskState::Queued]);
}

#[tokio::test]
async fn a_deleted_job_leaves_nothing() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let job = fixture.upload_with_job().await.job.unwrap();
    let (output, key) = (fixture.store.output(job), "video/0.m4s".parse().unwrap());
    output.write(&key, bytes::Bytes::from_static(b"x")).await.unwrap();
    cancel(&mut client, &job.to_string()).await.unwrap();
    delete(&mut client, &job.to_string()).await.unwrap();
    assert!(fixture.store.list_jobs().await.unwrap().is_empty());
    assert_eq!(
        refusal(delete(&mut client, &job.to_string()).await).reason,
        Reason::JobNotFound
    );
}

#[tokio::test]
async fn unknown_jobs_are_not_found() {
    let fixture = Fixture::new().await;
    let mut client = serve(&fixture).await;
    let id = JobId::new().to_string();
    let get = client.get_job(named(&id, |job_id| v1::GetJobRequest { job_id })).await;
    let tasks = client
        .list_tasks(named(&id, |job_id| v1::ListTasksRequest { job_id }))
        .await;
    for failure in [
        refusal(get),
        refusal(tasks),
        refusal(cancel(&mut client, &id).await),
        refusal(retry(&mut client, &id).await),
        refusal(delete(&mut client, &id).await),
    ] {
        assert_eq!(
            (failure.reason, failure.metadata["jobId"].as_str()),
            (Reason::JobNotFound, id.as_str())
        );
    }
    assert_eq!(refusal(cancel(&mut client, "x").await).reason, Reason::FieldInvalid);
}

#[tokio::test]
async fn the_queue_is_measured() {
    let fixture = Fixture::new().await;
    let measured = async || {
        let (queue, backlog) = (fixture.catalog.queue().await, fixture.catalog.backlog().await.unwrap());
        (queue.unwrap().jobs, backlog.jobs_queued, backlog.jobs_running)
    };
    fixture.upload_with_job().await;
    assert_eq!(measured().await, (0, 1, 0), "its bytes are not there yet");
    fixture.complete_upload_with_job().await;
    assert_eq!(measured().await, (1, 2, 0));
    let claim = fixture.catalog.claim(WorkerId::new(), Duration::from_secs(60)).await;
    claim.unwrap().unwrap();
    assert_eq!(measured().await, (0, 1, 1));
}
