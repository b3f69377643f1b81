//! What the success of a task means for its job.

use std::sync::Arc;

use reelway_domain::{Change, JobState, TaskKind, TaskState};
use tokio::{sync::Barrier, task::JoinSet};

use super::{db::Db, fixture::*, on_both};
use crate::{Effect, Fenced};

on_both!(
    a_job_runs_from_probe_to_finish,
    successors_are_released_once,
    a_refused_plan_adds_nothing,
);

pub(super) async fn a_job_runs_from_probe_to_finish(db: &Db) {
    let id = db.planned(1).await;
    let job = db.job(id).await;
    assert_eq!(job.source.map(|s| s.frames), Some(300));
    assert_eq!((job.renditions.len(), job.published_prefix), (1, None));
    assert_eq!(db.catalog.playback(id).await.unwrap(), None);
    for kind in [TaskKind::Video, TaskKind::Package] {
        let task = db.claim().await.task;
        assert_eq!(task.kind, kind);
        assert_eq!(
            db.catalog
                .succeed(&task, r#"{"n":1}"#, &effect_of(kind, 0))
                .await
                .unwrap(),
            Fenced::Done
        );
        assert_eq!(db.task(&task).await.result.as_deref(), Some(r#"{"n":1}"#));
    }
    let job = db.job(id).await;
    assert_eq!((job.state, job.missing_frames), (JobState::Running, 2));
    assert_eq!(job.published_prefix.as_deref(), Some("package/1"));
    assert!(job.playable_at.is_some());
    assert_eq!(db.catalog.playback(id).await.unwrap().map(|p| p.is_final), Some(false));
    let finish = db.claim().await.task;
    db.succeed(&finish, &Effect::Finished).await;
    let job = db.job(id).await;
    assert_eq!(job.state, JobState::Succeeded);
    assert!(job.finished_at.is_some());
    assert_eq!(db.catalog.playback(id).await.unwrap().map(|p| p.is_final), Some(true));

    let told = |e: Change| match e {
        Change::JobState { state, .. } => Some(format!("job {state}")),
        Change::Planned { task_count, .. } => Some(format!("planned {task_count}")),
        Change::TaskState { task_kind, state, .. } => Some(format!("{task_kind} {state}")),
        Change::Playable => Some("playable".into()),
        Change::UploadState { state, .. } => Some(format!("upload {state}")),
    };
    let events: Vec<_> = db.events(id).await.into_iter().filter_map(|e| told(e.change)).collect();
    let expected = "job queued, upload complete, job running, probe running, probe succeeded, plan running, \
                    plan succeeded, planned 5, video running, video succeeded, package running, package succeeded, \
                    playable, finish running, finish succeeded, job succeeded";
    assert_eq!(events.join(", "), expected);
}

async fn successors_are_released_once(db: &Db) {
    const CHUNKS: usize = 12;
    let job = db.planned(12).await;
    let videos = db.claim_many(CHUNKS).await;
    let barrier = Arc::new(Barrier::new(2 * CHUNKS));
    let mut workers = JoinSet::new();
    // Each result is sent twice at the same time, as a worker does that didn't hear the answer.
    for i in 0..2 * CHUNKS {
        let task = videos[i % CHUNKS].clone();
        let (catalog, barrier) = (db.catalog.clone(), Arc::clone(&barrier));
        workers.spawn(async move {
            barrier.wait().await;
            catalog.succeed(&task, "{}", &Effect::None).await.unwrap()
        });
    }
    let answers = workers.join_all().await;
    assert_eq!(answers.iter().filter(|a| **a == Fenced::Done).count(), CHUNKS);
    let tasks = db.catalog.tasks(&tenant(), job).await.unwrap();
    let pending: Vec<_> = tasks
        .iter()
        .filter(|t| t.state == TaskState::Queued)
        .map(|t| (t.kind, t.pending))
        .collect();
    assert_eq!(pending, [(TaskKind::Package, 0), (TaskKind::Finish, 1)]);
}

async fn a_refused_plan_adds_nothing(db: &Db) {
    let (_, job) = db.complete().await;
    let probe = db.claim().await.task;
    db.succeed(&probe, &Effect::None).await;
    let plan = db.claim().await.task;
    db.catalog.cancel_job(&tenant(), job).await.unwrap();
    assert_eq!(
        db.catalog.succeed(&plan, "{}", &planned(3)).await.unwrap(),
        Fenced::LeaseLost
    );
    assert_eq!(db.catalog.tasks(&tenant(), job).await.unwrap().len(), 2);
}
