//! Resuming: nothing is missed, nothing comes twice.

use reelway::v1::{self, watch_progress_response::Message};
use reelway_domain::{JobId, Reason, Tenant, UploadId};
use reelway_rpc::{PlaybackUrls, convert::job_event};

use super::{entry, job_target, refusal, upload_target};
use crate::{
    Pace,
    target::Target,
    testing::{Client, Fixture, patient},
};

/// Works until the job is done, with a worker that gives up now and then.
async fn do_everything(fixture: &Fixture) {
    while let Some(claim) = fixture.claim().await {
        if claim.task.index == 1 && claim.task.lease_epoch.0 == 1 {
            fixture.catalog.hand_back(&claim.task).await.unwrap();
        } else {
            fixture.finish(&claim).await;
        }
    }
}

/// Watches over connections that are cut after every message, from the token of the first one's snapshot on.
async fn watch_in_pieces(client: &Client, target: Target, mut token: Vec<u8>) -> Vec<v1::JobEvent> {
    let mut events = Vec::new();
    loop {
        let mut stream = client.watch(target, &token).await.unwrap();
        let (snapshot, given) = stream.next().await.unwrap().unwrap();
        entry(snapshot);
        assert_eq!(
            given[5..13],
            token[5..13],
            "the snapshot stands where the watch was, before what follows"
        );
        match stream.next().await.unwrap() {
            Some((Message::Event(event), next)) => {
                events.push(event);
                token = next;
            }
            Some((_, next)) => token = next,
            None => return events,
        }
    }
}

async fn everything_is_seen_once(fixture: Fixture, pace: Pace, target: fn(JobId, UploadId) -> Target) {
    let client = fixture.serve(pace).await;
    let upload = fixture.upload(true).await;
    let job = upload.job.unwrap();
    let target = target(job, upload.id);
    let mut first = client.watch(target, b"").await.unwrap();
    let (snapshot, token) = first.next().await.unwrap().unwrap();
    drop(first);
    let begin = entry(snapshot).job.unwrap().event_seq;
    let worker = async {
        fixture.commit(&upload, 4).await;
        fixture.complete(&upload).await;
        do_everything(&fixture).await;
    };
    let (seen, ()) = tokio::join!(watch_in_pieces(&client, target, token), worker);
    let urls = PlaybackUrls::new("http://play");
    let happened = fixture.events(job).await;
    let expected: Vec<v1::JobEvent> = happened
        .iter()
        .filter(|event| event.seq.0 > begin)
        .map(|event| job_event(event, &urls))
        .collect();
    assert_eq!(seen, expected);
    assert!(seen.len() > 15, "{}", seen.len());
    let Some(v1::job_event::Change::JobState(last)) = &seen[seen.len() - 1].change else {
        panic!("{seen:?}")
    };
    assert_eq!(last.state(), v1::JobState::Succeeded);
}

#[tokio::test]
async fn no_state_change_is_missed_by_a_watcher() {
    everything_is_seen_once(Fixture::new().await, patient(), |job, _| job_target(job)).await;
}

#[tokio::test]
async fn no_state_change_is_missed_by_a_watcher_of_an_upload() {
    everything_is_seen_once(Fixture::new().await, patient(), |_, upload| upload_target(upload)).await;
}

#[tokio::test]
async fn no_state_change_is_missed_without_any_hint() {
    let pace = patient();
    everything_is_seen_once(Fixture::deaf().await, pace, |job, _| job_target(job)).await;
}

#[tokio::test]
async fn an_end_that_was_undone_does_not_end_the_watch() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let job = fixture.job().await;
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    let (_, token) = stream.next().await.unwrap().unwrap();
    drop(stream);
    fixture.catalog.cancel_job(&Tenant::single(), job).await.unwrap();
    fixture.catalog.retry_job(&Tenant::single(), job).await.unwrap();

    let mut stream = client.watch(job_target(job), &token).await.unwrap();
    let told = [stream.event().await, stream.event().await].map(|event| event.change.unwrap());
    let states = told.map(|change| match change {
        v1::job_event::Change::JobState(change) => change.state(),
        other => panic!("{other:?}"),
    });
    assert_eq!(states, [v1::JobState::Cancelled, v1::JobState::Queued]);
    fixture.work().await.unwrap();
    assert!(
        matches!(stream.event().await.change, Some(v1::job_event::Change::JobState(_))),
        "it runs"
    );
}

#[tokio::test]
async fn a_finished_job_is_a_snapshot_and_what_was_missed() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let job = fixture.job().await;
    let mut live = client.watch(job_target(job), b"").await.unwrap();
    let (_, early) = live.next().await.unwrap().unwrap();
    do_everything(&fixture).await;
    let seen = live.events_to_end().await;

    let mut late = client.watch(job_target(job), &early).await.unwrap();
    assert_eq!(late.events_to_end().await, seen);
    let mut anew = client.watch(job_target(job), b"").await.unwrap();
    let (snapshot, token) = anew.next().await.unwrap().unwrap();
    let progress = entry(snapshot);
    assert_eq!(progress.job.unwrap().state(), v1::JobState::Succeeded);
    assert_eq!(progress.percent.to_bits(), 100.0_f64.to_bits());
    assert_eq!(anew.next().await.unwrap(), None);
    let mut again = client.watch(job_target(job), &token).await.unwrap();
    again.next().await.unwrap().unwrap();
    assert_eq!(again.next().await.unwrap(), None);
}

#[tokio::test]
async fn tokens_of_other_targets_and_garbage_are_refused() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let (upload, other) = (fixture.upload(true).await, fixture.upload(true).await);
    let job = upload.job.unwrap();
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    let (_, token) = stream.next().await.unwrap().unwrap();
    for (target, token) in [
        (job_target(other.job.unwrap()), &token[..]),
        (upload_target(upload.id), &token),
        (Target::Everything, &token),
        (job_target(job), b"garbage"),
    ] {
        let failure = refusal(client.watch(target, token).await);
        assert_eq!(failure.reason, Reason::ResumeTokenInvalid, "{target}");
    }

    // Valid in form, but ahead of what this catalog knows: it is another one's.
    fixture.complete(&upload).await;
    let mut stream = client.watch(job_target(job), b"").await.unwrap();
    let (_, ahead) = stream.next().await.unwrap().unwrap();
    let restored = Fixture::new().await;
    let status = restored.serve(patient()).await.watch(job_target(job), &ahead).await;
    assert_eq!(refusal(status).reason, Reason::JobNotFound);
    let status = restored
        .serve(patient())
        .await
        .watch(Target::Everything, &everything_token(&client).await)
        .await;
    assert_eq!(refusal(status).reason, Reason::ResumeTokenInvalid);
}

async fn everything_token(client: &Client) -> Vec<u8> {
    let mut stream = client.watch(Target::Everything, b"").await.unwrap();
    stream.next().await.unwrap().unwrap().1
}
