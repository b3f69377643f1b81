//! How a watch begins, stays alive and ends.

use std::time::Duration;

use futures_util::StreamExt as _;
use reelway::v1::{self, get_progress_request, watch_progress_response::Message};
use reelway_domain::{JobId, Reason, Sample, Tenant, UploadId};
use tokio_util::sync::CancellationToken;

use super::{entry, job_target, refusal, upload_target};
use crate::{
    Pace,
    messages::messages,
    testing::{Fixture, SIZE, patient},
    watch::Watch,
};

#[tokio::test]
async fn a_quiet_watch_gets_bookmarks_whose_tokens_are_good() {
    let fixture = Fixture::new().await;
    let pace = Pace {
        bookmark_every: Duration::from_millis(20),
        ..patient()
    };
    let client = fixture.serve(pace).await;
    let job = fixture.job().await;
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    entry(stream.message().await);
    let mut token = Vec::new();
    for _ in 0..3 {
        let (message, next) = stream.next().await.unwrap().unwrap();
        assert_eq!(message, Message::Bookmark(v1::Bookmark {}));
        token = next;
    }
    client.watch(job_target(job), &token).await.unwrap();
}

#[tokio::test]
async fn a_watch_that_is_old_ends_and_goes_on_with_its_token() {
    let fixture = Fixture::new().await;
    let pace = Pace {
        watch_max: Duration::from_millis(50),
        ..patient()
    };
    let client = fixture.serve(pace).await;
    let job = fixture.job().await;
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    let (first, token) = stream.next().await.unwrap().unwrap();
    let seq = entry(first).job.unwrap().event_seq;
    let status = stream.next().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "clients come back");
    assert_eq!(refusal::<()>(Err(status)).reason, Reason::ServiceUnavailable);
    fixture.work().await.unwrap();
    let mut stream = fixture
        .serve(patient())
        .await
        .watch(job_target(job), &token)
        .await
        .unwrap();
    assert_eq!(stream.event().await.seq, seq + 1);
}

#[tokio::test]
async fn a_failed_job_ends_the_watch_with_its_reason() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let job = fixture.job().await;
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    entry(stream.message().await);
    let claim = fixture.claim().await.unwrap();
    let failure = reelway_domain::Failure::new(Reason::SourceNotMedia, "it is a text");
    fixture.catalog.fail_attempt(&claim.task, &failure, "").await.unwrap();
    let events = stream.events_to_end().await;
    let Some(v1::job_event::Change::JobState(last)) = &events[events.len() - 1].change else {
        panic!("{events:?}")
    };
    assert_eq!(
        (last.state(), last.error.as_ref().unwrap().reason.as_str()),
        (v1::JobState::Failed, "SOURCE_NOT_MEDIA")
    );
}

#[tokio::test]
async fn an_upload_without_a_job_is_watched_to_its_end() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let upload = fixture.upload(false).await;
    let mut stream = client.watch(upload_target(upload.id), b"").await.unwrap();
    let first = entry(stream.message().await);
    assert_eq!(
        (first.durable_offset, first.size_bytes, first.job),
        (0, Some(SIZE), None)
    );

    fixture.commit(&upload, 4).await;
    let (upload_id, durable_offset) = (upload.id, 4);
    // The hub may begin to listen a moment after the watch.
    let sample = loop {
        fixture.bus.sample(Sample::Upload {
            upload: upload_id,
            durable_offset,
        });
        tokio::task::yield_now().await;
        let offset = fixture.hub.samples().durable_offset(upload_id);
        if offset == Some(4) {
            break stream.message().await;
        }
    };
    let Message::Sample(sample) = sample else {
        panic!("{sample:?}")
    };
    assert_eq!(
        (sample.durable_offset, sample.job_id.as_str(), sample.upload),
        (4, "", None)
    );

    fixture.complete(&upload).await;
    let last = loop {
        match stream.message().await {
            Message::Sample(_) => {}
            message => break entry(message),
        }
    };
    assert_eq!(last.upload.unwrap().state(), v1::UploadState::Complete);
    assert_eq!(stream.next().await.unwrap(), None);
    let mut late = client.watch(upload_target(upload.id), b"").await.unwrap();
    entry(late.message().await);
    assert_eq!(late.next().await.unwrap(), None);
}

#[tokio::test]
async fn the_watch_of_a_deleted_job_ends() {
    let fixture = Fixture::deaf().await;
    let job = fixture.job().await;
    let pace = patient();
    let (sources, shutdown) = (fixture.sources(), fixture.shutdown.clone());
    let mut watch = Watch::open(sources, pace, shutdown, job_target(job), b"")
        .await
        .unwrap();
    watch.next().await.unwrap().unwrap();
    // Both happen before the watch looks again, so the terminal event is gone with the job.
    fixture.catalog.cancel_job(&Tenant::single(), job).await.unwrap();
    fixture.catalog.delete_job(&Tenant::single(), job).await.unwrap();
    let failure = watch.next().await.unwrap_err();
    assert_eq!(
        (failure.reason, failure.metadata["jobId"].as_str()),
        (Reason::JobNotFound, &*job.to_string())
    );
}

#[tokio::test]
async fn shutdown_ends_every_watch_at_once() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let job = fixture.job().await;
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    entry(stream.message().await);
    fixture.shutdown.cancel();
    let status = stream.next().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(refusal::<()>(Err(status)).reason, Reason::ShuttingDown);
}

#[tokio::test]
async fn a_slow_reader_gets_a_snapshot_and_every_event_but_few_samples() {
    let fixture = Fixture::deaf().await;
    let job = fixture.job().await;
    let pace = patient();
    let (sources, shutdown) = (fixture.sources(), CancellationToken::new());
    let mut watch = Watch::open(sources, pace, shutdown, job_target(job), b"")
        .await
        .unwrap();
    let mut told = vec![watch.next().await.unwrap().unwrap()];
    // It catches up, and then is not asked for anything while much happens.
    fixture.begin_and_hand_back().await;
    for _ in 0..3 {
        told.push(watch.next().await.unwrap().unwrap());
    }
    for _ in 0..150 {
        fixture.begin_and_hand_back().await;
    }
    let claim = fixture.claim().await.unwrap();
    for done_ms in 0..10_000 {
        let sample = Sample::Task {
            job,
            task: claim.task.id,
            lease_epoch: claim.task.lease_epoch.0,
            done_ms,
            speed: 1.0,
        };
        fixture.hub.sampled(&sample);
    }
    fixture.catalog.cancel_job(&Tenant::single(), job).await.unwrap();
    while let Some(message) = watch.next().await.unwrap() {
        told.push(message);
    }

    let (mut seqs, mut snapshots, mut samples) = (Vec::new(), Vec::new(), 0);
    for (i, told) in told.into_iter().enumerate() {
        match told.message.unwrap() {
            Message::Event(event) => seqs.push(event.seq),
            Message::Snapshot(_) => snapshots.push(i),
            Message::Sample(_) => samples += 1,
            Message::Bookmark(_) => {}
        }
    }
    let all = i64::try_from(fixture.events(job).await.len()).unwrap();
    assert_eq!(seqs, (3..=all).collect::<Vec<_>>());
    assert_eq!(
        snapshots.len(),
        2,
        "the first, and one when it was far behind: {snapshots:?}"
    );
    assert!(samples < 10, "{samples}");
}

#[tokio::test]
async fn who_does_not_read_keeps_nothing_from_others() {
    let fixture = Fixture::new().await;
    let (job, target) = (fixture.job().await, get_progress_request::Target::JobId);
    let mut unread = Vec::new();
    // More than there are connections to the catalog.
    for _ in 0..50 {
        let (sources, shutdown) = (fixture.sources(), fixture.shutdown.clone());
        let watch = Watch::open(sources, patient(), shutdown, job_target(job), b"").await;
        let mut messages = Box::pin(messages(watch.unwrap()));
        // Polled once and never again, like the stream of a client that has no more room.
        assert!(futures_util::poll!(messages.next()).is_pending());
        unread.push(messages);
    }
    let client = fixture.serve(patient()).await;
    let get = client.get(v1::GetProgressRequest {
        target: Some(target(job.to_string())),
    });
    tokio::time::timeout(Duration::from_secs(10), get)
        .await
        .expect("an answer")
        .unwrap();
    let first = unread[0].next().await.unwrap().unwrap();
    entry(first.message.unwrap());
}

#[tokio::test]
async fn unknown_things_are_not_found_and_wrong_fields_named() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let (job, upload) = (JobId::new(), UploadId::new());
    let get = |target| client.get(v1::GetProgressRequest { target });
    for (failure, reason) in [
        (refusal(client.watch(job_target(job), b"").await), Reason::JobNotFound),
        (
            refusal(client.watch(upload_target(upload), b"").await),
            Reason::UploadNotFound,
        ),
        (
            refusal(get(Some(get_progress_request::Target::JobId(job.to_string()))).await),
            Reason::JobNotFound,
        ),
        (
            refusal(get(Some(get_progress_request::Target::UploadId(upload.to_string()))).await),
            Reason::UploadNotFound,
        ),
        (
            refusal(get(Some(get_progress_request::Target::JobId("x".into()))).await),
            Reason::FieldInvalid,
        ),
        (refusal(get(None).await), Reason::FieldInvalid),
    ] {
        assert_eq!(failure.reason, reason, "{failure}");
    }
}

#[tokio::test]
async fn getting_tells_what_a_snapshot_tells() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let job = fixture.job().await;
    fixture.work().await.unwrap();
    let target = Some(get_progress_request::Target::JobId(job.to_string()));
    let got = client.get(v1::GetProgressRequest { target }).await.unwrap();
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    assert_eq!(entry(stream.message().await), got);
    assert_eq!((got.durable_offset, got.job.unwrap().id), (SIZE, job.to_string()));
    assert!(got.percent > 0.0 && got.percent < 5.0, "{}", got.percent);
}

#[tokio::test]
async fn who_reads_nothing_from_the_first_snapshot_on_gets_another_one() {
    let fixture = Fixture::deaf().await;
    let job = fixture.job().await;
    let (sources, shutdown) = (fixture.sources(), CancellationToken::new());
    let watch = Watch::open(sources, patient(), shutdown, job_target(job), b"").await;
    let mut watch = watch.unwrap();
    let is_snapshot = |told: Message| matches!(told, Message::Snapshot(_));
    assert!(is_snapshot(watch.next().await.unwrap().unwrap().message.unwrap()));
    for _ in 0..150 {
        fixture.begin_and_hand_back().await;
    }
    fixture.hub.look_everywhere();
    assert!(is_snapshot(watch.next().await.unwrap().unwrap().message.unwrap()));
}
