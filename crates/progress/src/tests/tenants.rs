//! What is another tenant's is as if it weren't there.

use futures_util::poll;
use reelway::v1::{self, get_progress_request, watch_progress_response::Message};
use reelway_domain::{EventSeq, Failure, JobId, Reason, Sample, Tenant, UploadId};

use super::{job_target, refusal, upload_target};
use crate::{
    signal::{Key, Mark},
    target::Target,
    testing::{Client, Fixture, patient},
};

fn stranger() -> Tenant {
    Tenant::named("stranger").unwrap()
}

/// What a refusal says, without the id that was asked for.
fn said(failure: &Failure, id: &str) -> String {
    format!("{failure:?}").replace(id, "ID")
}

/// What is said to each question about a job and about an upload, with these tokens and with garbage.
async fn answers(client: &Client, job: JobId, upload: UploadId, tokens: [&[u8]; 2]) -> Vec<String> {
    let get = |target| client.get(v1::GetProgressRequest { target: Some(target) });
    let (of_job, of_upload) = (job.to_string(), upload.to_string());
    let mut said_of_job = vec![refusal(get(get_progress_request::Target::JobId(of_job.clone())).await)];
    let mut said_of_upload = vec![refusal(
        get(get_progress_request::Target::UploadId(of_upload.clone())).await,
    )];
    for [with_job, with_upload] in [[&b""[..], b""], tokens, [b"garbage", b"garbage"]] {
        said_of_job.push(refusal(client.watch(job_target(job), with_job).await));
        said_of_upload.push(refusal(client.watch(upload_target(upload), with_upload).await));
    }
    let of_jobs = said_of_job.iter().map(|failure| said(failure, &of_job));
    of_jobs
        .chain(said_of_upload.iter().map(|failure| said(failure, &of_upload)))
        .collect()
}

#[tokio::test]
async fn what_is_another_tenants_is_not_found() {
    let fixture = Fixture::new().await;
    let owner = fixture.serve(patient()).await;
    let upload = fixture.upload(true).await;
    let job = upload.job.unwrap();
    let mut tokens = Vec::new();
    for target in [job_target(job), upload_target(upload.id)] {
        let mut stream = owner.watch(target, b"").await.unwrap();
        tokens.push(stream.next().await.unwrap().unwrap().1);
    }
    let other = fixture.serve_tenant(stranger()).await;
    let of_theirs = answers(&other, job, upload.id, [&tokens[0], &tokens[1]]).await;
    // Tokens that fit, or the unknown ids would be told apart by them.
    let (unknown_job, unknown_upload) = (JobId::new(), UploadId::new());
    let position = crate::token::Position {
        seq: EventSeq(1),
        percent: 0.0,
    };
    let fitting = [job_target(unknown_job), upload_target(unknown_upload)]
        .map(|target| crate::token::encode(&Tenant::single(), target, position));
    let of_nothing = answers(&other, unknown_job, unknown_upload, [&fitting[0], &fitting[1]]).await;
    assert_eq!(of_theirs, of_nothing);
    let not_found = of_theirs.iter().filter(|said| said.contains("NotFound"));
    assert_eq!(not_found.count(), 6, "all but the garbage: {of_theirs:?}");
}

#[tokio::test]
async fn who_watches_everything_sees_only_what_is_theirs() {
    let fixture = Fixture::new().await;
    let (ours, theirs) = (fixture.serve(patient()).await, fixture.serve_tenant(stranger()).await);
    fixture.upload(true).await;
    let mut stream = theirs.watch(Target::Everything, b"").await.unwrap();
    let Message::Snapshot(snapshot) = stream.message().await else {
        panic!("no snapshot")
    };
    assert_eq!((snapshot.entries.len(), snapshot.truncated), (0, false));

    // Much happens to the one tenant, and samples come of it.
    let mut of_ours = ours.watch(Target::Everything, b"").await.unwrap();
    let job = fixture.job().await;
    while of_ours.event().await.job_id != job.to_string() {}
    let claim = fixture.claim().await.unwrap();
    for done_ms in 0..50 {
        fixture.hub.sampled(&Sample::Task {
            job,
            task: claim.task.id,
            lease_epoch: claim.task.lease_epoch.0,
            done_ms,
            speed: 1.0,
        });
        tokio::task::yield_now().await;
    }
    fixture.finish(&claim).await;
    fixture.hub.look_everywhere();
    let own = fixture.job_of(stranger()).await;
    let mut seqs = Vec::new();
    while seqs.len() < 2 {
        match stream.message().await {
            Message::Event(event) => {
                assert_eq!(event.job_id, own.to_string());
                seqs.push(event.seq);
            }
            Message::Sample(sample) => assert_eq!(sample.job_id, own.to_string()),
            Message::Snapshot(_) | Message::Bookmark(_) => {}
        }
    }
    assert_eq!(seqs, [1, 2]);
}

#[tokio::test]
async fn a_token_of_everything_is_good_for_one_tenant() {
    let fixture = Fixture::new().await;
    let mut stream = fixture
        .serve(patient())
        .await
        .watch(Target::Everything, b"")
        .await
        .unwrap();
    let (_, token) = stream.next().await.unwrap().unwrap();
    let other = fixture.serve_tenant(stranger()).await;
    let refused = refusal(other.watch(Target::Everything, &token).await);
    assert_eq!(refused.reason, Reason::ResumeTokenInvalid);
}

#[tokio::test]
async fn what_others_do_wakes_nobody_who_watches_everything() {
    let fixture = Fixture::new().await;
    let [ours, theirs] = [Tenant::single(), stranger()].map(|tenant| {
        let mut subscription = fixture.hub.subscribe();
        let key = Key::Everything(tenant);
        subscription.add(key.clone());
        subscription.saw(&key, Mark::Events(EventSeq(0)));
        subscription
    });
    fixture.upload(true).await;
    while !ours.woken().await {}
    assert!(poll!(std::pin::pin!(theirs.woken())).is_pending());
}

#[tokio::test]
async fn without_an_identity_nothing_is_answered() {
    let fixture = Fixture::new().await;
    let client = fixture.serve_to(None, patient()).await;
    let job = fixture.job().await;
    let target = Some(get_progress_request::Target::JobId(job.to_string()));
    let refused = [
        refusal(client.get(v1::GetProgressRequest { target }).await),
        refusal(client.watch(job_target(job), b"").await),
        refusal(client.watch(Target::Everything, b"").await),
    ];
    assert!(
        refused.iter().all(|failure| failure.reason == Reason::Internal),
        "{refused:?}"
    );
}
