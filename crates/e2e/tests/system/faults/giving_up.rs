//! Jobs that nobody wants any more, given up in the middle of the work.

use std::time::{Duration, Instant};

use reelway::v1;
use reelway_client::Error;
use reelway_domain::Reason;

use super::{
    calls::created,
    jobs::{HEAVY, Job, encoder},
};
use crate::harness::{Role, Shape, System, WriteStream, within_secs, working_in};

/// What is promised of a cancelled job.
const CANCEL_MAX: Duration = Duration::from_secs(5);

on_both!(fault_35_cancel_kills_ffmpeg_within_5_s, Shape::default());
on_both!(fault_36_what_is_deleted_stays_deleted, Shape::default());

async fn fault_35_cancel_kills_ffmpeg_within_5_s(system: System) {
    let job = Job::of(&system, HEAVY, "standard").await;
    encoder(&system).await;
    let cancelled_at = Instant::now();
    let cancelled = cancel(&system, &job.id).await;
    assert_eq!(cancelled.state(), v1::JobState::Cancelled);
    nobody_works(&system).await;
    assert!(
        cancelled_at.elapsed() < CANCEL_MAX,
        "it took {:?}",
        cancelled_at.elapsed()
    );
    let tasks = system.tasks(&job.id).await;
    let has_ended = |task: &v1::Task| matches!(task.state(), v1::TaskState::Succeeded | v1::TaskState::Cancelled);
    assert!(tasks.iter().all(has_ended), "{tasks:?}");
    let again = system.job(&job.id).await;
    assert_eq!(
        (again.state(), again.event_seq),
        (v1::JobState::Cancelled, cancelled.event_seq),
        "it is the end"
    );
}

async fn fault_36_what_is_deleted_stays_deleted(system: System) {
    let job = Job::of(&system, HEAVY, "standard").await;
    encoder(&system).await;
    let client = system.client();
    let request = v1::DeleteJobRequest { job_id: job.id.clone() };
    let refused = client.delete_job(request.clone()).await;
    is_refused(refused, Reason::JobStateConflict);
    // Deleted in the moment in which it is cancelled: its worker doesn't know yet.
    cancel(&system, &job.id).await;
    client.delete_job(request).await.expect("it has ended");
    nobody_works(&system).await;
    let request = v1::GetJobRequest { job_id: job.id.clone() };
    is_refused(client.get_job(request).await, Reason::JobNotFound);
    within_secs(30, "outputs that are gone", async || !system.outputs(&job.id).exists()).await;

    // An upload that is given up while it is written.
    let mut uploads = system.uploads().await;
    let upload_id = created(&mut uploads).await;
    let mut stream = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    stream.send_flushed(vec![b'a'; 100_000]).await;
    stream.acked().await.expect("an acknowledgement");
    let writer = tokio::spawn(stream.pour(vec![b'b'; 10_000].into()));
    let request = v1::AbortUploadRequest {
        upload_id: upload_id.clone(),
        also_complete: false,
    };
    client.abort_upload(request).await.expect("an aborted upload");
    let status = writer.await.expect("a status");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}");
    within_secs(30, "bytes that are gone", async || {
        system.upload_files(&upload_id).is_empty()
    })
    .await;
}

async fn cancel(system: &System, job_id: &str) -> v1::Job {
    let request = v1::CancelJobRequest {
        job_id: job_id.to_owned(),
    };
    system.client().cancel_job(request).await.expect("a cancelled job")
}

/// Waits until no ffmpeg works any more, and nothing is left where it did.
async fn nobody_works(system: &System) {
    within_secs(20, "ffmpeg's end", async || {
        system
            .all(Role::Worker)
            .all(|worker| working_in(worker.data(), worker.pid()).is_empty())
    })
    .await;
    within_secs(5, "an empty scratch space", async || system.scratch_dirs().is_empty()).await;
}

fn is_refused<T: std::fmt::Debug>(answer: Result<T, Error>, reason: Reason) {
    match answer {
        Err(Error::Refused(refusal)) if refusal.known_reason() == Some(reason) => {}
        other => panic!("{reason} expected: {other:?}"),
    }
}
