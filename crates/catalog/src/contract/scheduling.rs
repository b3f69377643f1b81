//! In which order tasks are claimed: nobody waits for all that somebody else has.

use reelway_domain::{JobId, NewTask, SourceInfo, TaskKind, TaskRef, Tenant, WorkerId};

use super::{db::Db, fixture::*, on_both};
use crate::{Effect, NewJob, NewUpload, Opened};

on_both!(
    a_film_does_not_hold_back_a_clip,
    clips_do_not_hold_back_a_film_for_ever,
    a_tenant_with_many_jobs_does_not_hold_back_another,
    a_job_of_higher_priority_comes_first,
    what_is_too_heavy_is_passed_over,
    what_is_too_heavy_is_not_passed_over_for_ever,
);

/// The length of a chunk here, in milliseconds.
const CHUNK_MS: i64 = 10_000;
/// The chunks of a film of ten hours.
const FILM_CHUNKS: i32 = 3600;

/// A job of this tenant whose upload is complete.
async fn job_of(db: &Db, tenant: &Tenant, priority: i32) -> JobId {
    let job = NewJob { priority, ..new_job() };
    let id = job.id;
    let new = NewUpload {
        tenant: tenant.clone(),
        job: Some(job),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let Opened::Writer(writer) = db
        .catalog
        .open_writer(tenant, upload.id, reelway_domain::WriterId::ONLY)
        .await
        .unwrap()
    else {
        panic!("not open")
    };
    let done = db
        .catalog
        .complete_upload(upload.id, writer.writer_epoch, SIZE_BYTES)
        .await;
    committed(done.unwrap());
    id
}

/// A plan of so many chunks, each due when it would be watched.
fn chunks(count: i32, memory_mib: impl Fn(i32) -> i64) -> Effect {
    let chunk = |index| NewTask {
        due_ms: i64::from(index) * CHUNK_MS,
        memory_mib: memory_mib(index),
        ..NewTask::new(
            TaskRef {
                kind: TaskKind::Video,
                index,
            },
            vec![TaskRef::only(TaskKind::Plan)],
        )
    };
    Effect::Planned {
        plan: "{}".into(),
        source: SourceInfo::default(),
        renditions: Vec::new(),
        tasks: (0..count).map(chunk).collect(),
    }
}

/// The only job, with its plan made.
async fn planned_with(db: &Db, plan: &Effect) -> JobId {
    let job = job_of(db, &tenant(), 0).await;
    for effect in [&Effect::None, plan] {
        db.succeed(&db.claim().await.task, effect).await;
    }
    job
}

async fn a_film_does_not_hold_back_a_clip(db: &Db) {
    let film = planned_with(db, &chunks(FILM_CHUNKS, |_| 0)).await;
    let clip = job_of(db, &tenant(), 0).await;
    let mut of_film = 0;
    loop {
        let task = db.claim().await.task;
        match task.kind {
            TaskKind::Plan => db.succeed(&task, &chunks(1, |_| 0)).await,
            _ => db.succeed(&task, &Effect::None).await,
        }
        if task.job == film {
            of_film += 1;
        } else if task.kind == TaskKind::Video {
            assert_eq!(task.job, clip);
            break;
        }
    }
    assert!(
        (1..5).contains(&of_film),
        "{of_film} of {FILM_CHUNKS} chunks came before the clip"
    );
}

async fn clips_do_not_hold_back_a_film_for_ever(db: &Db) {
    let film = planned_with(db, &chunks(100, |_| 0)).await;
    // The time of all of the film has come.
    db.raw("UPDATE tasks SET due_ms = due_ms - 7200000").await.unwrap();
    for _ in 0..5 {
        job_of(db, &tenant(), 0).await;
    }
    let claimed = db.claim_many(100).await;
    assert!(claimed.iter().all(|task| task.job == film));
    assert_ne!(db.claim().await.task.job, film);
}

async fn a_tenant_with_many_jobs_does_not_hold_back_another(db: &Db) {
    const MANY_JOBS: usize = 20;
    let other = Tenant::stored("other".into());
    let mut first = Vec::new();
    for _ in 0..MANY_JOBS {
        first.push(job_of(db, &tenant(), 0).await);
    }
    let single = job_of(db, &other, 0).await;
    let order: Vec<JobId> = db.claim_many(MANY_JOBS + 1).await.iter().map(|task| task.job).collect();
    assert_eq!(order[..2], [first[0], single]);
    assert_eq!(order[2..], first[1..], "in the order in which they were created");
}

async fn a_job_of_higher_priority_comes_first(db: &Db) {
    let mut jobs = Vec::new();
    for priority in [-1, 0, 1, 100] {
        let job = job_of(db, &tenant(), priority).await;
        assert_eq!(db.job(job).await.priority, priority);
        jobs.insert(0, job);
    }
    let order: Vec<JobId> = db.claim_many(4).await.iter().map(|task| task.job).collect();
    assert_eq!(order, jobs);
}

/// The chunks that a worker gets that has so much memory.
async fn claimed(db: &Db, count_max: usize, memory_mib_max: Option<i64>) -> Vec<i32> {
    let claims = db
        .catalog
        .claim_batch(WorkerId::new(), LONG, count_max, memory_mib_max)
        .await
        .unwrap();
    claims.iter().map(|claim| claim.task.index).collect()
}

async fn what_is_too_heavy_is_passed_over(db: &Db) {
    planned_with(
        db,
        &chunks(6, |index| {
            [600, 5000, 100, 500, 100, 0][usize::try_from(index).unwrap()]
        }),
    )
    .await;
    assert_eq!(claimed(db, 8, Some(700)).await, [0, 2], "together they fit");
    assert_eq!(claimed(db, 8, Some(0)).await, [5]);
    assert_eq!(claimed(db, 1, Some(499)).await, [4]);
    assert!(claimed(db, 8, Some(499)).await.is_empty());
    assert_eq!(claimed(db, 1, None).await, [1], "an idle worker takes anything");
    assert_eq!(claimed(db, 8, None).await, [3]);
}

async fn what_is_too_heavy_is_not_passed_over_for_ever(db: &Db) {
    planned_with(
        db,
        &chunks(3, |index| [5000, 100, 100][usize::try_from(index).unwrap()]),
    )
    .await;
    assert_eq!(claimed(db, 1, Some(700)).await, [1]);
    db.raw("UPDATE tasks SET due_ms = due_ms - 60000 WHERE idx = 0")
        .await
        .unwrap();
    let blocked = claimed(db, 8, Some(700)).await;
    assert!(
        blocked.is_empty(),
        "memory must become free for what is long due: {blocked:?}"
    );
    assert_eq!(claimed(db, 8, Some(6000)).await, [0, 2]);
}
