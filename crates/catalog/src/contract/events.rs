//! Events are numbered without gaps, per job and per tenant (invariant 10).

use std::sync::Arc;

use reelway_domain::{EventSeq, JobEvent};
use tokio::{sync::Barrier, task::JoinSet};

use super::{db::Db, fixture::*, on_both};
use crate::{Catalog, Effect};

on_both!(events_are_numbered_without_gaps, a_reader_that_follows_misses_nothing);

const JOBS: usize = 3;
const CHUNKS: usize = 8;

/// Lets all chunks of several jobs succeed at the same time.
async fn finish_all_at_once(db: &Db) -> JoinSet<()> {
    let mut tasks = Vec::new();
    for _ in 0..JOBS {
        db.planned(8).await;
        tasks.extend(db.claim_many(CHUNKS).await);
    }
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let mut workers = JoinSet::new();
    for task in tasks {
        let (catalog, barrier) = (db.catalog.clone(), Arc::clone(&barrier));
        workers.spawn(async move {
            barrier.wait().await;
            catalog.succeed(&task, "{}", &Effect::None).await.unwrap();
        });
    }
    workers
}

async fn events_are_numbered_without_gaps(db: &Db) {
    finish_all_at_once(db).await.join_all().await;
    let jobs = db
        .catalog
        .list_jobs(&tenant(), &crate::JobFilter::default(), None, MANY)
        .await
        .unwrap();
    assert_eq!(jobs.len(), JOBS);
    for job in jobs {
        let seqs: Vec<i64> = db.events(job.id).await.into_iter().map(|e| e.seq.0).collect();
        assert_eq!(seqs, (1..=job.event_seq.0).collect::<Vec<_>>());
        let rest = db
            .catalog
            .events_of_job(&tenant(), job.id, EventSeq(3), 2)
            .await
            .unwrap();
        assert_eq!(rest.into_iter().map(|e| e.seq.0).collect::<Vec<_>>(), [4, 5]);
    }
    let all = of_tenant(&db.catalog, EventSeq(0)).await;
    let last = db.catalog.tenant_event_seq(&tenant()).await.unwrap();
    assert_eq!(
        all.iter().map(|e| e.tenant_seq.0).collect::<Vec<_>>(),
        (1..=last.0).collect::<Vec<_>>()
    );
    let nobody = reelway_domain::Tenant::stored("nobody".into());
    assert_eq!(db.catalog.tenant_event_seq(&nobody).await.unwrap(), EventSeq(0));
    let both = db.catalog.tenant_event_seqs(&[tenant(), nobody]).await.unwrap();
    assert_eq!(both.into_iter().collect::<Vec<_>>(), [(tenant(), last)]);
}

async fn a_reader_that_follows_misses_nothing(db: &Db) {
    let mut workers = finish_all_at_once(db).await;
    let mut seen = EventSeq(0);
    let mut done = false;
    loop {
        for event in of_tenant(&db.catalog, seen).await {
            assert_eq!(
                event.tenant_seq.0,
                seen.0 + 1,
                "a number became visible after a later one"
            );
            seen = event.tenant_seq;
        }
        if done {
            break;
        }
        // After the last writer has ended, one more look sees the rest.
        done = workers.try_join_next().is_some() && workers.is_empty();
        tokio::task::yield_now().await;
    }
    assert_eq!(seen, db.catalog.tenant_event_seq(&tenant()).await.unwrap());
}

async fn of_tenant(catalog: &Catalog, after: EventSeq) -> Vec<JobEvent> {
    catalog.events_of_tenant(&tenant(), after, MANY).await.unwrap()
}
