//! Request ids (invariant 6).

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::{db::Db, fixture::*, on_both};
use crate::{Created, Error, NewUpload};

on_both!(
    a_repeated_call_gets_the_first_answer,
    concurrent_calls_with_one_request_id_create_one_upload,
    a_repeated_job_is_the_same_job,
    effect_event_outbox_and_request_id_are_one_transaction,
);

async fn a_repeated_call_gets_the_first_answer(db: &Db) {
    let new = |hash| NewUpload {
        request: Some(request("r1", hash)),
        job: Some(new_job()),
        ..new_upload()
    };
    let first = db.catalog.create_upload(&new(1)).await.unwrap().into_inner();
    assert_eq!(db.catalog.create_upload(&new(1)).await.unwrap(), Created::Before(first));
    assert_eq!(db.count("uploads").await, 1);
    assert_eq!(db.count("jobs").await, 1);
    let other = db.catalog.create_upload(&new(2)).await;
    assert!(
        matches!(&other, Err(Error::RequestIdReused(id)) if id == "r1"),
        "{other:?}"
    );
    let mut elsewhere = new(2);
    elsewhere.request.as_mut().unwrap().method = "Another";
    assert!(matches!(
        db.catalog.create_upload(&elsewhere).await,
        Ok(Created::New(_))
    ));
}

async fn concurrent_calls_with_one_request_id_create_one_upload(db: &Db) {
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let catalog = db.catalog.clone();
        let new = NewUpload {
            request: Some(request("r1", 1)),
            job: Some(new_job()),
            ..new_upload()
        };
        calls.spawn(async move { catalog.create_upload(&new).await.unwrap() });
    }
    let answers = calls.join_all().await;
    let created = answers.iter().filter(|a| matches!(a, Created::New(_))).count();
    assert_eq!(created, 1);
    let ids: HashSet<_> = answers.into_iter().map(|a| a.into_inner().id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(db.count("uploads").await, 1);
    assert_eq!(db.count("tasks").await, 2);
}

async fn a_repeated_job_is_the_same_job(db: &Db) {
    let (upload, _) = db.receiving().await;
    let create = async |hash| {
        let request = request("r1", hash);
        db.catalog
            .create_job(&tenant(), upload.id, &new_job(), Some(&request))
            .await
    };
    let Some(Created::New(first)) = create(1).await.unwrap() else {
        panic!("it was not created");
    };
    assert_eq!(create(1).await.unwrap(), Some(Created::Before(first)));
    assert!(matches!(create(2).await, Err(Error::RequestIdReused(_))));
    assert_eq!(db.count("jobs").await, 2);
}

async fn effect_event_outbox_and_request_id_are_one_transaction(db: &Db) {
    const TABLES: [&str; 6] = ["uploads", "jobs", "tasks", "job_events", "outbox", "request_ids"];
    let rows = async || {
        let mut counts = Vec::new();
        for table in TABLES {
            counts.push(db.count(table).await);
        }
        counts
    };
    let first = NewUpload {
        request: Some(request("r1", 1)),
        job: Some(new_job()),
        ..new_upload()
    };
    db.catalog.create_upload(&first).await.unwrap();
    // The job is queued: one event, and the hint for it.
    assert_eq!(rows().await, [1, 1, 2, 1, 1, 1]);

    // Everything up to the job's row succeeds; the job's id is taken. None of it may stay.
    let second = NewUpload {
        id: new_upload().id,
        request: Some(request("r2", 2)),
        ..first.clone()
    };
    assert!(matches!(
        db.catalog.create_upload(&second).await,
        Err(Error::Database(_))
    ));
    assert_eq!(rows().await, [1, 1, 2, 1, 1, 1]);

    // A result that can't be stored (the job is not playable) leaves its task as it was.
    let job = db.planned(1).await;
    db.raw(&format!(
        "UPDATE tasks SET pending = 0 WHERE job_id = '{job}' AND kind = 'finish'"
    ))
    .await
    .unwrap();
    db.raw(&format!(
        "UPDATE tasks SET run_at_ms = 9000000000000 WHERE job_id = '{job}' AND kind <> 'finish'"
    ))
    .await
    .unwrap();
    let finish = db.claim().await.task;
    let before = rows().await;
    let refused = db.catalog.succeed(&finish, "{}", &crate::Effect::Finished).await;
    assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
    assert_eq!(rows().await, before);
    assert_eq!(db.task(&finish).await, finish);
}
