//! Hints are committed with what they tell of and are carried at least once (invariants 4 and 6).

use std::collections::HashSet;

use reelway_domain::Hint;

use super::{db::Db, fixture::*, on_both};

on_both!(
    a_dropped_batch_comes_again,
    two_relays_get_different_hints,
    a_hint_of_another_version_is_passed_over,
    a_commit_wakes_the_relay,
);

async fn a_dropped_batch_comes_again(db: &Db) {
    let (_, job) = db.receiving().await;
    let batch = db.catalog.take_outbox(MANY).await.unwrap();
    let hints = batch.hints.clone();
    assert_eq!(hints, [Hint::Tasks, Hint::Events { job }]);
    drop(batch);
    let batch = db.catalog.take_outbox(MANY).await.unwrap();
    assert_eq!(batch.hints, hints);
    batch.delivered().await.unwrap();
    let batch = db.catalog.take_outbox(MANY).await.unwrap();
    assert_eq!(batch.hints, []);
}

async fn two_relays_get_different_hints(db: &Db) {
    let mut jobs = HashSet::new();
    for _ in 0..4 {
        jobs.insert(db.receiving().await.1);
    }
    let first = db.catalog.take_outbox(4).await.unwrap();
    assert_eq!(first.hints.len(), 4);
    // On Postgres the second relay passes over what the first has; on SQLite it waits for the one writer.
    let second = tokio::spawn({
        let catalog = db.catalog.clone();
        async move { catalog.take_outbox(MANY).await.unwrap() }
    });
    let first_hints = first.hints.clone();
    first.delivered().await.unwrap();
    let second = second.await.unwrap();
    assert_eq!(second.hints.len(), 4);
    let both = first_hints.iter().chain(&second.hints);
    let told: HashSet<_> = both
        .filter_map(|hint| match hint {
            Hint::Events { job } => Some(*job),
            Hint::Tasks | Hint::Upload { .. } => None,
        })
        .collect();
    assert_eq!(told, jobs);
}

async fn a_hint_of_another_version_is_passed_over(db: &Db) {
    db.raw("INSERT INTO outbox (id, message, created_at_ms) VALUES ('0', '{\"hint\":\"moon\"}', 0)")
        .await
        .unwrap();
    db.receiving().await;
    let batch = db.catalog.take_outbox(MANY).await.unwrap();
    assert_eq!(batch.hints.len(), 2);
    batch.delivered().await.unwrap();
    assert_eq!(db.count("outbox").await, 0);
}

async fn a_commit_wakes_the_relay(db: &Db) {
    let filled = db.catalog.outbox_filled();
    db.receiving().await;
    filled.notified().await;
}
