//! Keeping a lease, losing it, and attempts that come to nothing (invariant 5).

use reelway_domain::{JobState, LeaseEpoch, Reason, TaskState, limits};

use super::{db::Db, fixture::*, on_both};
use crate::{Beat, Dialect, Effect, Fenced};

on_both!(
    a_heartbeat_keeps_the_lease,
    a_hand_back_does_not_count,
    effects_are_fenced,
    only_what_ran_out_is_reaped,
    a_restart_waits_for_no_dead_lease,
    another_attempt_waits,
    the_last_attempt_fails_the_job,
    a_lost_worker_costs_an_attempt,
    a_permanent_failure_fails_the_job_at_once,
);

async fn a_heartbeat_keeps_the_lease(db: &Db) {
    db.complete().await;
    let task = db.claim().await.task;
    db.expire_lease(&task).await;
    assert_eq!(db.catalog.heartbeat(&task, LONG).await.unwrap(), Beat::Alive);
    assert_eq!(db.catalog.reap(MANY).await.unwrap(), 0, "the heartbeat came first");
    db.expire_lease(&task).await;
    assert_eq!(db.catalog.reap(MANY).await.unwrap(), 1);
    assert_eq!(db.catalog.heartbeat(&task, LONG).await.unwrap(), Beat::Lost);
    db.skip_backoff().await;
    let later = db.claim().await.task;
    assert_eq!(db.catalog.heartbeat(&task, LONG).await.unwrap(), Beat::Lost);
    assert_eq!(db.catalog.heartbeat(&later, LONG).await.unwrap(), Beat::Alive);
    db.catalog.cancel_job(&tenant(), task.job).await.unwrap();
    assert_eq!(db.catalog.heartbeat(&task, LONG).await.unwrap(), Beat::Lost);
    assert_eq!(db.catalog.heartbeat(&later, LONG).await.unwrap(), Beat::Cancelled);
}

async fn a_hand_back_does_not_count(db: &Db) {
    db.complete().await;
    for epoch in 1..=i64::from(limits::ATTEMPTS_MAX) + 2 {
        let task = db.claim().await.task;
        assert_eq!((task.attempt, task.lease_epoch), (1, LeaseEpoch(epoch)));
        assert_eq!(db.catalog.hand_back(&task).await.unwrap(), Fenced::Done);
        assert_eq!(db.catalog.hand_back(&task).await.unwrap(), Fenced::LeaseLost);
        let queued = db.task(&task).await;
        assert_eq!(
            (queued.state, queued.attempt, queued.lease_owner),
            (TaskState::Queued, 0, None)
        );
    }
}

async fn effects_are_fenced(db: &Db) {
    db.complete().await;
    let zombie = db.claim().await.task;
    db.expire_lease(&zombie).await;
    db.catalog.reap(MANY).await.unwrap();
    db.skip_backoff().await;
    for claimed in [false, true] {
        if claimed {
            assert_eq!(db.claim().await.task.lease_epoch, LeaseEpoch(2));
        }
        let (before, events) = (db.task(&zombie).await, db.events(zombie.job).await);
        let effect = Effect::Probed(reelway_domain::SourceInfo::default());
        let lost = [
            db.catalog.succeed(&zombie, "{}", &effect).await.unwrap(),
            db.catalog.fail_attempt(&zombie, &transient(), "").await.unwrap(),
            db.catalog.fail_attempt(&zombie, &permanent(), "").await.unwrap(),
            db.catalog.hand_back(&zombie).await.unwrap(),
        ];
        assert_eq!(lost, [Fenced::LeaseLost; 4]);
        assert_eq!((db.task(&zombie).await, db.events(zombie.job).await), (before, events));
        assert_eq!(db.job(zombie.job).await.source, None);
    }
}

async fn only_what_ran_out_is_reaped(db: &Db) {
    db.planned(3).await;
    let tasks = db.claim_many(3).await;
    db.expire_lease(&tasks[0]).await;
    db.expire_lease(&tasks[2]).await;
    assert_eq!(db.catalog.reap(1).await.unwrap(), 1, "not more than asked for");
    assert_eq!(db.catalog.reap(MANY).await.unwrap(), 1);
    assert_eq!(db.task(&tasks[1]).await, tasks[1]);
    assert_eq!(db.task(&tasks[0]).await.state, TaskState::Queued);
}

async fn a_restart_waits_for_no_dead_lease(db: &Db) {
    db.complete().await;
    let dead = db.claim().await.task;
    db.catalog.expire_orphaned_leases().await.unwrap();
    // On Postgres the worker may be another process, and alive.
    let orphaned = db.catalog.dialect() == Dialect::Sqlite;
    assert_eq!(db.catalog.reap(MANY).await.unwrap(), usize::from(orphaned));
    let task = db.task(&dead).await;
    assert_eq!(task.state == TaskState::Queued, orphaned);
    assert_eq!(
        task.attempt, 1,
        "the attempt counts: it may have been what brought the process down"
    );
}

async fn another_attempt_waits(db: &Db) {
    const TASKS: usize = 12;
    db.planned(12).await;
    let longest_ms = i64::try_from(limits::BACKOFF_MIN.as_millis()).unwrap();
    let mut later = 0;
    for task in db.claim_many(TASKS).await {
        assert_eq!(
            db.catalog
                .fail_attempt(&task, &transient(), "line 1\nline 2")
                .await
                .unwrap(),
            Fenced::Done
        );
        let stored = db.task(&task).await;
        assert_eq!((stored.state, stored.attempt), (TaskState::Queued, 1));
        assert_eq!(
            (stored.error, stored.stderr_tail),
            (Some(transient()), "line 1\nline 2".to_owned())
        );
        let pause = db
            .number(&format!(
                "SELECT run_at_ms - updated_at_ms FROM tasks WHERE id = '{}'",
                task.id
            ))
            .await;
        assert!((0..=longest_ms + 1).contains(&pause), "{pause}");
        later += i64::from(pause > 1);
    }
    assert!(later > 0, "twelve pauses with jitter are not all zero");
}

async fn the_last_attempt_fails_the_job(db: &Db) {
    let (_, job) = db.complete().await;
    for attempt in 1..=limits::ATTEMPTS_MAX {
        assert_eq!(db.job(job).await.error, None);
        db.skip_backoff().await;
        let task = db.claim().await.task;
        assert_eq!(task.attempt, attempt);
        db.catalog
            .fail_attempt(&task, &transient(), "the last words")
            .await
            .unwrap();
    }
    let failed = db.job(job).await;
    let error = failed.error.expect("why it failed");
    assert_eq!((failed.state, error.reason), (JobState::Failed, Reason::EncoderFailed));
    assert_eq!(error.metadata["attempts"], limits::ATTEMPTS_MAX.to_string());
    let tasks = db.catalog.tasks(&tenant(), job).await.unwrap();
    assert_eq!(
        (tasks[0].state, tasks[1].state),
        (TaskState::Failed, TaskState::Cancelled)
    );
    assert_eq!(tasks[0].stderr_tail, "the last words");
    assert!(db.try_claim().await.is_none());
}

pub(super) async fn a_lost_worker_costs_an_attempt(db: &Db) {
    let (_, job) = db.complete().await;
    for _ in 0..limits::ATTEMPTS_MAX {
        db.skip_backoff().await;
        let task = db.claim().await.task;
        db.expire_lease(&task).await;
        assert_eq!(db.catalog.reap(MANY).await.unwrap(), 1);
    }
    let error = db.job(job).await.error.expect("why it failed");
    assert_eq!(error.reason, Reason::WorkerLost);
}

async fn a_permanent_failure_fails_the_job_at_once(db: &Db) {
    let job = db.planned(2).await;
    let tasks = db.claim_many(2).await;
    db.catalog.fail_attempt(&tasks[0], &permanent(), "").await.unwrap();
    let failed = db.job(job).await;
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(failed.error.map(|e| e.reason), Some(Reason::SourceNotMedia));
    assert_eq!(db.catalog.heartbeat(&tasks[1], LONG).await.unwrap(), Beat::Cancelled);
}
