//! How many workers each change wakes, and to which trace its hints belong.

use reelway_domain::{Hint, JobId, TaskKind, TraceContext};

use super::{db::Db, fixture::*, on_both};
use crate::{Catalog, Effect};

on_both!(
    as_many_workers_are_woken_as_there_are_tasks,
    a_task_that_has_its_bytes_wakes_a_worker_at_once,
    what_comes_back_wakes_a_worker,
    hints_belong_to_the_trace_of_their_call_or_their_job,
);

/// How many tasks the hints since the last look are about, of which there is one at most.
async fn woken(db: &Db) -> u32 {
    let hints = db.hints().await;
    let counts: Vec<u32> = hints
        .iter()
        .filter_map(|hint| match hint {
            Hint::Tasks { count } => Some(*count),
            Hint::Events { .. } | Hint::Upload { .. } | Hint::Writer { .. } | Hint::WriterAsked { .. } => None,
        })
        .collect();
    assert!(counts.len() <= 1 && !counts.contains(&0), "{hints:?}");
    counts.first().copied().unwrap_or(0)
}

async fn as_many_workers_are_woken_as_there_are_tasks(db: &Db) {
    const CHUNKS: usize = 3;
    let (upload, _) = db.receiving().await;
    let second = new_job();
    db.catalog
        .create_job(&tenant(), upload.id, &second, None)
        .await
        .unwrap();
    assert_eq!(woken(db).await, 0, "the upload is not complete");
    let writer = db.opened(&upload).await;
    let done = db
        .catalog
        .complete_upload(upload.id, writer.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
    assert_eq!(woken(db).await, 2, "the probes of both jobs");
    db.catalog.cancel_job(&tenant(), second.id).await.unwrap();
    assert_eq!(woken(db).await, 0);

    for expected in [1, CHUNKS] {
        let task = db.claim().await.task;
        assert_eq!(woken(db).await, 0, "a claim makes nothing claimable");
        db.succeed(&task, &effect_of(task.kind, 3)).await;
        assert_eq!(usize::try_from(woken(db).await).unwrap(), expected, "{}", task.kind);
    }
    let videos = db.claim_many(CHUNKS).await;
    for (video, expected) in videos.iter().zip([0, 0, 1]) {
        db.succeed(video, &Effect::None).await;
        assert_eq!(woken(db).await, expected, "the package waits for the last chunk");
    }
    let third = new_job();
    db.catalog.create_job(&tenant(), upload.id, &third, None).await.unwrap();
    assert_eq!(woken(db).await, 1, "the upload is complete already");
}

async fn a_task_that_has_its_bytes_wakes_a_worker_at_once(db: &Db) {
    let (upload, _) = db.receiving().await;
    let probe_only = "UPDATE tasks SET ready_at_offset = 10 WHERE kind IN ('probe', 'plan')";
    db.raw(probe_only).await.unwrap();
    let writer = db.opened(&upload).await;
    db.commit_at(&writer, 10).await;
    let probe = db.claim().await.task;
    db.hints().await;
    db.succeed(&probe, &Effect::None).await;
    assert_eq!(woken(db).await, 1);
    let plan = db.claim().await.task;
    assert_eq!(plan.kind, TaskKind::Plan);
    db.succeed(&plan, &planned(3)).await;
    assert_eq!(woken(db).await, 0, "the chunks need the whole upload");
}

async fn what_comes_back_wakes_a_worker(db: &Db) {
    let job = db.planned(3).await;
    let tasks = db.claim_many(3).await;
    db.hints().await;
    db.catalog.hand_back(&tasks[0]).await.unwrap();
    assert_eq!(woken(db).await, 1);
    db.catalog.fail_attempt(&tasks[1], &transient(), "").await.unwrap();
    assert_eq!(woken(db).await, 0, "it pauses first");
    db.catalog.cancel_job(&tenant(), job).await.unwrap();
    db.hints().await;
    db.catalog.retry_job(&tenant(), job).await.unwrap();
    assert_eq!(woken(db).await, 3);
}

const CREATED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn trace(text: &str) -> Option<TraceContext> {
    Some(text.parse().unwrap())
}

async fn hints_belong_to_the_trace_of_their_call_or_their_job(db: &Db) {
    let traces = async |catalog: &Catalog| {
        let fresh = catalog.next_fresh().await;
        fresh.into_iter().map(|fresh| fresh.notice.trace).collect::<Vec<_>>()
    };
    let calling = db.catalog.clone().traced(|| trace(CREATED));
    let new = crate::NewUpload {
        job: Some(new_job()),
        ..new_upload()
    };
    let upload = calling.create_upload(&new).await.unwrap().into_inner();
    let job: JobId = upload.job.unwrap();
    assert_eq!(
        (upload.trace, db.job(job).await.trace),
        (trace(CREATED), trace(CREATED))
    );
    assert_eq!(traces(&db.catalog).await, [trace(CREATED)]);

    let writer = db.opened(&db.upload(new.id).await).await;
    let done = db
        .catalog
        .complete_upload(new.id, writer.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
    assert_eq!(
        traces(&db.catalog).await,
        [trace(CREATED), trace(CREATED), trace(CREATED)],
        "events, upload and tasks: nobody called, so it is the job's"
    );

    let calling = db.catalog.clone().traced(|| trace(OTHER));
    calling.cancel_job(&tenant(), job).await.unwrap();
    assert_eq!(traces(&db.catalog).await, [trace(OTHER)]);
    assert_eq!(
        db.job(job).await.trace,
        trace(CREATED),
        "a job keeps the trace it was created in"
    );
}
