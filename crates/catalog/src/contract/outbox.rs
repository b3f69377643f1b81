//! Hints are committed with what they tell of and are carried at least once (invariants 4 and 6).

use std::{collections::HashSet, time::Duration};

use reelway_domain::{Hint, Notice};
use tokio::time::timeout;

use super::{db::Db, fixture::*, on_both};

/// A transaction that was dropped is long undone by then.
const AGAIN_MAX: Duration = Duration::from_secs(10);

on_both!(
    a_dropped_batch_comes_again,
    two_relays_get_different_hints,
    a_hint_of_another_version_is_passed_over,
    a_commit_hands_its_hints_to_the_courier,
    a_young_hint_is_left_to_its_courier,
    hints_that_nobody_needs_any_more_are_forgotten,
);

async fn a_dropped_batch_comes_again(db: &Db) {
    let (_, job) = db.receiving().await;
    let batch = db.catalog.take_outbox(MANY, Duration::ZERO).await.unwrap();
    let notices = batch.notices.clone();
    assert_eq!(notices, [Notice::from(Hint::Events { job })]);
    drop(batch);
    // What is dropped is undone when its connection goes back to the pool; until then others pass over its rows.
    let again = async {
        loop {
            let batch = db.catalog.take_outbox(MANY, Duration::ZERO).await.unwrap();
            if !batch.notices.is_empty() {
                return batch;
            }
            tokio::task::yield_now().await;
        }
    };
    let batch = timeout(AGAIN_MAX, again).await.expect("it comes again");
    assert_eq!(batch.notices, notices);
    batch.delivered().await.unwrap();
    assert_eq!(db.hints().await, []);
}

async fn two_relays_get_different_hints(db: &Db) {
    let mut jobs = HashSet::new();
    for _ in 0..8 {
        jobs.insert(db.receiving().await.1);
    }
    let first = db.catalog.take_outbox(4, Duration::ZERO).await.unwrap();
    assert_eq!(first.notices.len(), 4);
    // On Postgres the second relay passes over what the first has; on SQLite it waits for the one writer.
    let second = tokio::spawn({
        let catalog = db.catalog.clone();
        async move { catalog.take_outbox(MANY, Duration::ZERO).await.unwrap() }
    });
    let first_notices = first.notices.clone();
    first.delivered().await.unwrap();
    let second = second.await.unwrap();
    assert_eq!(second.notices.len(), 4);
    let both = first_notices.iter().chain(&second.notices);
    let told: HashSet<_> = both
        .filter_map(|notice| match notice.hint {
            Hint::Events { job } => Some(job),
            Hint::Tasks { .. } | Hint::Writer { .. } | Hint::WriterAsked { .. } | Hint::Upload { .. } => None,
        })
        .collect();
    assert_eq!(told, jobs);
}

async fn a_hint_of_another_version_is_passed_over(db: &Db) {
    db.raw("INSERT INTO outbox (id, message, created_at_ms) VALUES ('0', '{\"hint\":\"moon\"}', 0)")
        .await
        .unwrap();
    db.receiving().await;
    assert_eq!(db.hints().await.len(), 1);
    assert_eq!(db.count("outbox").await, 0);
}

async fn a_commit_hands_its_hints_to_the_courier(db: &Db) {
    let waiting = tokio::spawn({
        let catalog = db.catalog.clone();
        async move { catalog.next_fresh().await }
    });
    let (_, job) = db.receiving().await;
    let fresh = waiting.await.unwrap();
    let hints: Vec<_> = fresh.iter().map(|fresh| fresh.notice.hint).collect();
    assert_eq!(hints, [Hint::Events { job }]);
    assert_eq!(db.count("outbox").await, 1, "it stays until it is published");
    db.receiving().await;
    db.catalog.forget_hints(&fresh).await.unwrap();
    db.catalog.forget_hints(&[]).await.unwrap();
    assert_eq!(db.count("outbox").await, 1, "only what was published is forgotten");
    let later = db.catalog.next_fresh().await;
    db.catalog.forget_hints(&later).await.unwrap();
    assert_eq!(db.count("outbox").await, 0);
}

async fn a_young_hint_is_left_to_its_courier(db: &Db) {
    db.receiving().await;
    let (_, old) = db.receiving().await;
    db.raw(&format!(
        "UPDATE outbox SET created_at_ms = created_at_ms - 60000 WHERE message LIKE '%{old}%'"
    ))
    .await
    .unwrap();
    let batch = db.catalog.take_outbox(MANY, Duration::from_secs(59)).await.unwrap();
    assert_eq!(batch.notices, [Notice::from(Hint::Events { job: old })]);
}

async fn hints_that_nobody_needs_any_more_are_forgotten(db: &Db) {
    db.receiving().await;
    db.raw("UPDATE outbox SET created_at_ms = created_at_ms - 60000")
        .await
        .unwrap();
    let (_, young) = db.receiving().await;
    let age_max = Duration::from_secs(59);
    assert_eq!(db.catalog.forget_old_hints(age_max).await.unwrap(), 1);
    assert_eq!(db.catalog.forget_old_hints(age_max).await.unwrap(), 0);
    assert_eq!(db.hints().await, [Hint::Events { job: young }]);
}
