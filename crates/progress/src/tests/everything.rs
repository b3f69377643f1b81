//! Watching everything.

use reelway::v1::{self, watch_progress_response::Message};
use reelway_domain::{EventSeq, Sample, Tenant};
use reelway_rpc::{PlaybackUrls, convert::job_event};

use crate::{
    target::Target,
    testing::{Fixture, patient},
    watch::Watch,
};

#[tokio::test]
async fn events_of_all_jobs_come_in_the_order_of_their_commits_over_cuts() {
    let fixture = Fixture::new().await;
    let client = fixture.serve(patient()).await;
    let mut stream = client.watch(Target::Everything, b"").await.unwrap();
    let (snapshot, mut token) = stream.next().await.unwrap().unwrap();
    assert!(matches!(snapshot, Message::Snapshot(snapshot) if snapshot.entries.is_empty()));
    let worker = async {
        let jobs = [fixture.job().await, fixture.job().await];
        while fixture.work().await.is_some() {}
        jobs
    };
    let watcher = async {
        let (mut seen, mut ended) = (Vec::new(), 0);
        while ended < 2 {
            let mut stream = client.watch(Target::Everything, &token).await.unwrap();
            stream.next().await.unwrap().unwrap();
            // A few messages from each connection.
            for _ in 0..3 {
                let (message, next) = stream.next().await.unwrap().unwrap();
                token = next;
                let Message::Event(event) = message else { continue };
                if let Some(v1::job_event::Change::JobState(change)) = &event.change {
                    ended += i32::from(change.state() == v1::JobState::Succeeded);
                }
                seen.push(event);
                if ended == 2 {
                    break;
                }
            }
        }
        seen
    };
    let (jobs, seen) = tokio::join!(worker, watcher);
    let all = fixture
        .catalog
        .events_of_tenant(&Tenant::single(), EventSeq(0), 1_000)
        .await
        .unwrap();
    let urls = PlaybackUrls::new("http://play");
    assert_eq!(
        seen,
        all.iter().map(|event| job_event(event, &urls)).collect::<Vec<_>>()
    );
    for job in jobs {
        let of_job = seen.iter().filter(|event| event.job_id == job.to_string());
        let seqs: Vec<i64> = of_job.map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_snapshot_lists_what_has_not_ended_and_samples_come_of_all() {
    let fixture = Fixture::deaf().await;
    let (encoding, waiting, ended) = (
        fixture.job().await,
        fixture.upload(true).await,
        fixture.upload(true).await,
    );
    let alone = fixture.upload(false).await;
    fixture
        .catalog
        .cancel_job(&Tenant::single(), ended.job.unwrap())
        .await
        .unwrap();
    let claim = fixture.claim().await.unwrap();
    let (sources, shutdown) = (fixture.sources(), fixture.shutdown.clone());
    let mut watch = Watch::open(sources, patient(), shutdown, Target::Everything, b"")
        .await
        .unwrap();

    let told = watch.next().await.unwrap().unwrap().message.unwrap();
    let Message::Snapshot(snapshot) = told else {
        panic!("{told:?}")
    };
    let listed: Vec<String> = snapshot.entries.iter().map(|entry| entry.job_id.clone()).collect();
    assert_eq!(
        listed,
        [waiting.job.unwrap().to_string(), encoding.to_string()],
        "newest first"
    );
    assert!(!snapshot.truncated && snapshot.entries.iter().all(|entry| entry.upload.is_some()));

    let task = Sample::Task {
        job: encoding,
        task: claim.task.id,
        lease_epoch: claim.task.lease_epoch.0,
        done_ms: 0,
        speed: 3.0,
    };
    let bytes = |upload: &reelway_catalog::Upload| Sample::Upload {
        upload: upload.id,
        durable_offset: 4,
    };
    for sample in [task, bytes(&waiting), bytes(&alone), bytes(&ended)] {
        fixture.hub.sampled(&sample);
    }
    // Nothing wakes this watch but a scan: it is told to look.
    fixture.hub.look_everywhere();
    let mut told = Vec::new();
    for _ in 0..3 {
        match watch.next().await.unwrap().unwrap().message.unwrap() {
            Message::Sample(progress) => told.push((progress.upload_id, progress.durable_offset)),
            other => panic!("{other:?}"),
        }
    }
    let encoded = fixture
        .catalog
        .job(&Tenant::single(), encoding)
        .await
        .unwrap()
        .unwrap()
        .upload;
    let mut expected = vec![
        (encoded.to_string(), 8),
        (waiting.id.to_string(), 4),
        (alone.id.to_string(), 4),
    ];
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
}
