//! Plans that reach further as the source grows, plans that prove wrong, and what is published meanwhile.

use reelway_domain::{
    Change, JobId, JobState, LeaseEpoch, NewTask, RenditionInfo, SourceInfo, TaskKind, TaskRef, TaskState,
};

use super::{db::Db, fixture::*, on_both};
use crate::{Beat, Effect, Fenced, Published, Task};

on_both!(
    a_plan_reaches_further,
    other_renditions_are_told,
    a_plan_that_proves_wrong_is_replaced,
    what_is_thrown_away_wakes_for_what_is_new,
    only_more_is_published,
    what_is_whole_is_not_replaced_by_what_grows,
    nothing_is_published_of_a_job_that_does_not_run,
    nothing_is_published_after_what_does_not_count,
);

fn task(kind: TaskKind, index: i32) -> TaskRef {
    TaskRef { kind, index }
}

fn video(index: i32, after: TaskRef) -> NewTask {
    NewTask::new(task(TaskKind::Video, index), vec![after])
}

fn named(name: &str) -> RenditionInfo {
    RenditionInfo {
        name: name.into(),
        ..RenditionInfo::default()
    }
}

fn source(frames: i64) -> SourceInfo {
    SourceInfo {
        frames,
        ..SourceInfo::default()
    }
}

fn some(prefix: &str, renditions: Vec<RenditionInfo>) -> Published {
    Published {
        renditions,
        prefix: prefix.into(),
        poster_key: None,
        download_key: None,
        manifest_name: None,
        storyboard_name: None,
        missing_frames: 0,
    }
}

/// A job whose first plan has these tasks.
async fn begun(db: &Db, tasks: Vec<NewTask>) -> JobId {
    let (_, job) = db.complete().await;
    let first = Effect::Planned {
        plan: "first".into(),
        source: source(10),
        renditions: vec![named("360p")],
        tasks,
    };
    for effect in [Effect::None, first] {
        let task = db.claim().await.task;
        db.succeed(&task, &effect).await;
    }
    job
}

async fn tasks(db: &Db, job: JobId) -> Vec<Task> {
    db.catalog.tasks(&tenant(), job).await.unwrap()
}

/// The tasks that have not succeeded, with what they wait for.
async fn left(db: &Db, job: JobId) -> Vec<(TaskKind, i32, i64)> {
    let all = tasks(db, job).await;
    let left = all.iter().filter(|t| t.state != TaskState::Succeeded);
    left.map(|t| (t.kind, t.index, t.pending)).collect()
}

/// The newest piece of a job, after whose success something is published.
async fn piece(db: &Db, job: JobId) -> Task {
    let all = tasks(db, job).await;
    let done = all.into_iter().rfind(|t| t.state == TaskState::Succeeded);
    done.expect("something is done")
}

async fn plans_told(db: &Db, job: JobId) -> Vec<i64> {
    let told = |change| match change {
        Change::Planned { task_count, .. } => Some(task_count),
        _ => None,
    };
    db.events(job)
        .await
        .into_iter()
        .filter_map(|e| told(e.change))
        .collect()
}

async fn playable_told(db: &Db, job: JobId) -> usize {
    let events = db.events(job).await;
    events.iter().filter(|e| e.change == Change::Playable).count()
}

/// A job whose first plan reaches to the first chunk, and whose second plan is claimed.
async fn half_planned(db: &Db) -> (JobId, Task) {
    let (first, second) = (task(TaskKind::Plan, 0), task(TaskKind::Plan, 1));
    let job = begun(db, vec![video(0, first), NewTask::new(second, vec![first])]).await;
    let chunk = db.claim().await.task;
    db.succeed(&chunk, &Effect::None).await;
    let plan = db.claim().await.task;
    assert_eq!((plan.kind, plan.index), (TaskKind::Plan, 1));
    (job, plan)
}

fn the_rest(renditions: Vec<RenditionInfo>) -> Effect {
    let chunks = [task(TaskKind::Video, 0), task(TaskKind::Video, 1)];
    let package = task(TaskKind::Package, 0);
    Effect::Extended {
        plan: "second".into(),
        source: source(20),
        renditions,
        tasks: vec![
            video(1, task(TaskKind::Plan, 1)),
            NewTask::new(package, chunks.to_vec()),
            NewTask::new(task(TaskKind::Finish, 0), vec![package]),
        ],
    }
}

async fn a_plan_reaches_further(db: &Db) {
    let (job, plan) = half_planned(db).await;
    let measured = RenditionInfo {
        codecs: "avc1".into(),
        ..named("360p")
    };
    let grown = some("video/1", vec![measured.clone()]);
    let chunk = piece(db, job).await;
    assert!(db.catalog.publish_growing(&chunk, &grown, 1).await.unwrap());
    db.succeed(&plan, &the_rest(vec![named("360p")])).await;
    let expected = [
        (TaskKind::Video, 1, 0),
        // The first chunk is done already.
        (TaskKind::Package, 0, 1),
        (TaskKind::Finish, 0, 1),
    ];
    assert_eq!(left(db, job).await, expected);
    let row = db.job(job).await;
    assert_eq!(row.source.map(|s| s.frames), Some(20));
    assert_eq!(row.renditions, [measured], "what was measured is kept");
    assert_eq!(
        plans_told(db, job).await,
        [4],
        "the second plan is nothing new to those who watch"
    );
    let chunk = db.claim().await;
    assert_eq!(chunk.plan.as_deref(), Some("second"));
    db.succeed(&chunk.task, &Effect::None).await;
    db.succeed(&db.claim().await.task, &published()).await;
    db.succeed(&db.claim().await.task, &Effect::Finished).await;
    assert_eq!(db.job(job).await.state, JobState::Succeeded);
}

async fn other_renditions_are_told(db: &Db) {
    let (job, plan) = half_planned(db).await;
    db.succeed(&plan, &the_rest(vec![named("360p"), named("audio")])).await;
    assert_eq!(plans_told(db, job).await, [4, 7]);
    assert_eq!(db.job(job).await.renditions.len(), 2);
}

/// A job of three chunks of which one is done, one is being made, and a check that finds the plan wrong.
async fn doubted(db: &Db) -> (JobId, Task, Task) {
    let (plan, verify) = (task(TaskKind::Plan, 0), task(TaskKind::Verify, 0));
    let package = task(TaskKind::Package, 0);
    let mut all: Vec<NewTask> = (0..3).map(|index| video(index, plan)).collect();
    let mut made: Vec<TaskRef> = all.iter().map(|new| new.task).collect();
    all.push(NewTask::new(verify, vec![plan]));
    made.push(verify);
    all.push(NewTask::new(package, made));
    all.push(NewTask::new(task(TaskKind::Finish, 0), vec![package]));
    let job = begun(db, all).await;
    let claimed = db.claim_many(4).await;
    db.succeed(&claimed[0], &Effect::None).await;
    (job, claimed[1].clone(), claimed[3].clone())
}

/// The same with two chunks.
fn anew() -> Effect {
    let verify = task(TaskKind::Verify, 0);
    let chunks: Vec<NewTask> = (0..2).map(|index| video(index, verify)).collect();
    let package = task(TaskKind::Package, 0);
    let before = chunks.iter().map(|new| new.task).collect();
    let end = [
        NewTask::new(package, before),
        NewTask::new(task(TaskKind::Finish, 0), vec![package]),
    ];
    Effect::Replanned {
        plan: "anew".into(),
        source: source(7),
        renditions: vec![named("240p")],
        tasks: chunks.into_iter().chain(end).collect(),
    }
}

async fn a_plan_that_proves_wrong_is_replaced(db: &Db) {
    let (job, zombie, verify) = doubted(db).await;
    let early = piece(db, job).await;
    let publish = async |task: &Task, prefix: &str, rung: &str, segments| {
        let published = some(prefix, vec![named(rung)]);
        db.catalog.publish_growing(task, &published, segments).await.unwrap()
    };
    assert!(publish(&early, "video/1", "360p", 5).await);
    db.succeed(&verify, &anew()).await;

    assert!(
        !publish(&early, "video/late", "360p", 6).await,
        "what an earlier plan made is published no more"
    );
    let late = db.catalog.succeed(&zombie, "{}", &Effect::None).await.unwrap();
    assert_eq!(late, Fenced::LeaseLost, "what was under way counts for nothing");
    assert_eq!(db.catalog.heartbeat(&zombie, LONG).await.unwrap(), Beat::Lost);
    let expected = [
        (TaskKind::Video, 0, 0),
        (TaskKind::Video, 1, 0),
        (TaskKind::Package, 0, 2),
        (TaskKind::Finish, 0, 1),
    ];
    assert_eq!(left(db, job).await, expected);
    let row = db.job(job).await;
    assert_eq!(
        (row.published_prefix.as_deref(), row.published_segments),
        (Some("video/1"), 0),
        "players go on with what they have until there is something else"
    );
    assert_eq!(
        (row.source.map(|s| s.frames), row.renditions),
        (Some(7), vec![named("240p")])
    );
    assert_eq!(plans_told(db, job).await, [8, 7]);

    for index in 0..2 {
        let chunk = db.claim().await.task;
        assert_eq!((chunk.index, chunk.attempt), (index, 1));
        assert_eq!(chunk.lease_epoch, LeaseEpoch(2), "no key is written by two claims");
        db.succeed(&chunk, &Effect::None).await;
    }
    assert!(publish(&piece(db, job).await, "video/2", "240p", 1).await);
    db.succeed(&db.claim().await.task, &published()).await;
    db.succeed(&db.claim().await.task, &Effect::Finished).await;
    assert_eq!(db.job(job).await.state, JobState::Succeeded);
    assert_eq!(playable_told(db, job).await, 1);
}

async fn what_is_thrown_away_wakes_for_what_is_new(db: &Db) {
    let (_, _, verify) = doubted(db).await;
    db.hints().await;
    db.succeed(&verify, &anew()).await;
    let tasks = db.hints().await.into_iter().filter_map(|hint| match hint {
        reelway_domain::Hint::Tasks { count } => Some(count),
        _ => None,
    });
    assert_eq!(tasks.collect::<Vec<_>>(), [2]);
    let wrong = "tasks t WHERE t.pending <> (SELECT COUNT(*) FROM task_edges e JOIN tasks b ON b.id = e.before_id
                                             WHERE e.after_id = t.id AND b.state <> 'succeeded')";
    assert_eq!(db.count(wrong).await, 0);
}

async fn only_more_is_published(db: &Db) {
    let job = db.planned(2).await;
    let first = Published {
        poster_key: Some("poster/1".into()),
        ..some("a", vec![named("360p")])
    };
    let task = piece(db, job).await;
    let publish = async |published: &Published, segments| {
        let publishing = db.catalog.publish_growing(&task, published, segments);
        publishing.await.unwrap()
    };
    assert!(publish(&first, 3).await);
    let row = db.job(job).await;
    assert!(row.playable_at.is_some());
    assert_eq!(
        (row.published_prefix.as_deref(), row.published_segments),
        (Some("a"), 3)
    );
    assert!(!publish(&some("b", vec![]), 3).await, "as much");
    assert!(!publish(&some("b", vec![]), 2).await, "less");
    assert_eq!(db.job(job).await, row);
    assert!(publish(&some("c", vec![named("360p")]), 5).await);
    let grown = db.job(job).await;
    assert_eq!(grown.published_prefix.as_deref(), Some("c"));
    assert_eq!(grown.poster_key.as_deref(), Some("poster/1"), "the poster stays");
    assert_eq!(grown.playable_at, row.playable_at);
    assert_eq!(playable_told(db, job).await, 1, "it is told once");
}

async fn what_is_whole_is_not_replaced_by_what_grows(db: &Db) {
    let job = db.planned(1).await;
    db.succeed(&db.claim().await.task, &Effect::None).await;
    let (chunk, package) = (piece(db, job).await, db.claim().await.task);
    assert!(db.catalog.publish_growing(&chunk, &some("a", vec![]), 9).await.unwrap());
    db.succeed(&package, &published()).await;
    let refused = db.catalog.publish_growing(&chunk, &some("b", vec![]), 10).await;
    assert!(!refused.unwrap());
    assert_eq!(db.job(job).await.published_prefix.as_deref(), Some("package/1"));
    assert_eq!(playable_told(db, job).await, 1);
}

async fn nothing_is_published_of_a_job_that_does_not_run(db: &Db) {
    let job = db.planned(1).await;
    let task = piece(db, job).await;
    db.catalog.cancel_job(&tenant(), job).await.unwrap();
    let unknown = Task {
        job: JobId::new(),
        ..task.clone()
    };
    for task in [task, unknown] {
        assert!(!db.catalog.publish_growing(&task, &some("a", vec![]), 1).await.unwrap());
    }
    assert_eq!(db.job(job).await.published_prefix, None);
}

async fn nothing_is_published_after_what_does_not_count(db: &Db) {
    let job = db.planned(2).await;
    let running = db.claim().await.task;
    let zombie = Task {
        lease_epoch: LeaseEpoch(running.lease_epoch.0 + 1),
        ..piece(db, job).await
    };
    for task in [running, zombie] {
        assert!(!db.catalog.publish_growing(&task, &some("a", vec![]), 1).await.unwrap());
    }
    let row = db.job(job).await;
    assert_eq!((row.published_prefix, row.published_segments), (None, 0));
    assert_eq!(playable_told(db, job).await, 0);
}
