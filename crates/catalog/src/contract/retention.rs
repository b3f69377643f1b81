//! What is removed by age.

use super::{
    db::Db,
    fixture::*,
    on_both,
    webhooks::{claim, due},
};
use crate::{Created, NewUpload, NextTry};

on_both!(
    webhooks_that_are_over_are_forgotten_after_a_while,
    request_ids_are_forgotten_after_a_while,
);

async fn webhooks_that_are_over_are_forgotten_after_a_while(db: &Db) {
    due(db, 4).await;
    for _ in 0..2 {
        let webhook = claim(db).await.unwrap();
        db.catalog.webhook_delivered(&webhook).await.unwrap();
    }
    let webhook = claim(db).await.unwrap();
    let given_up = db.catalog.webhook_failed(&webhook, "answered 410", NextTry::GiveUp);
    given_up.await.unwrap();
    let forget = async |count_max| db.catalog.forget_webhooks(LONG, count_max).await.unwrap();
    assert_eq!(forget(MANY).await, 0);
    db.raw("UPDATE webhooks SET updated_at_ms = 0").await.unwrap();
    assert_eq!(forget(2).await, 2);
    assert_eq!(forget(MANY).await, 1);
    assert_eq!(db.count("webhooks WHERE state = 'pending'").await, 1, "it is not over");
}

async fn request_ids_are_forgotten_after_a_while(db: &Db) {
    for name in ["old", "young"] {
        let new = NewUpload {
            request: Some(request(name, 1)),
            ..new_upload()
        };
        db.catalog.create_upload(&new).await.unwrap();
    }
    db.raw("UPDATE request_ids SET created_at_ms = 0 WHERE request_id = 'old'")
        .await
        .unwrap();
    assert_eq!(db.catalog.forget_requests(LONG, MANY).await.unwrap(), 1);
    assert_eq!(db.catalog.forget_requests(LONG, MANY).await.unwrap(), 0);
    let new = NewUpload {
        request: Some(request("young", 1)),
        ..new_upload()
    };
    let again = db.catalog.create_upload(&new).await.unwrap();
    assert!(matches!(again, Created::Before(_)), "a young one still counts");
}
