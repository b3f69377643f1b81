//! Webhooks are left with what they tell of, and each try is one server's.

use std::{collections::HashSet, time::Duration};

use reelway_domain::{JobId, JobState, UploadState, WebhookEvent, WebhookUrl};
use serde_json::{Value, json};

use super::{db::Db, fixture::*, on_both};
use crate::{Cancelled, Commit, Fenced, NewUpload, NextTry, Webhook};

on_both!(
    a_complete_upload_is_told_once_to_each_receiver,
    without_receivers_nothing_piles_up,
    the_ends_of_jobs_are_told,
    a_cancelled_job_is_not_told,
    what_did_not_happen_is_not_told,
    no_change_without_its_webhook,
    servers_address_each_message_once,
    each_try_is_one_servers,
    a_try_that_was_not_heard_of_again_is_fenced_out,
    busy_hosts_are_passed_over,
    a_failed_one_waits_and_a_given_up_one_is_kept,
);

fn url(name: &str) -> WebhookUrl {
    format!("https://{name}.example/hook").parse().unwrap()
}

pub(super) async fn claim(db: &Db) -> Option<Webhook> {
    db.catalog.claim_webhook(LONG, &[]).await.unwrap()
}

/// All that are due, and claimed with this.
async fn claim_all(db: &Db) -> Vec<Webhook> {
    let mut all = Vec::new();
    while let Some(webhook) = claim(db).await {
        all.push(webhook);
    }
    all
}

/// What is told of a job, at a receiver of the configuration.
async fn told(db: &Db, job: JobId) -> Vec<Value> {
    db.catalog.address_webhooks(&[url("a")], MANY).await.unwrap();
    let all = claim_all(db).await.into_iter();
    let bodies = all.map(|webhook| serde_json::from_str::<Value>(&webhook.body).unwrap());
    bodies
        .filter(|body| body["data"]["job_id"] == job.to_string())
        .collect()
}

/// As many messages as this, due at one receiver.
pub(super) async fn due(db: &Db, count: usize) {
    for _ in 0..count {
        db.complete().await;
    }
    assert_eq!(db.catalog.address_webhooks(&[url("a")], MANY).await.unwrap(), count);
}

async fn a_complete_upload_is_told_once_to_each_receiver(db: &Db) {
    let new = NewUpload {
        webhook_url: Some(url("own")),
        ..new_upload()
    };
    let upload = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let upload = db.opened(&upload).await;
    let complete = db.catalog.complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES);
    let complete = committed(complete.await.unwrap());
    // The upload's receiver is one of the configuration's too.
    let receivers = [url("a"), url("own")];
    assert_eq!(db.catalog.address_webhooks(&receivers, MANY).await.unwrap(), 1);
    assert_eq!(db.catalog.address_webhooks(&receivers, MANY).await.unwrap(), 0);
    let all = claim_all(db).await;
    let urls: HashSet<&str> = all.iter().map(|webhook| webhook.url.as_str()).collect();
    assert_eq!(urls, receivers.iter().map(WebhookUrl::as_str).collect());
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].message, all[1].message, "receivers may compare what they got");
    assert_eq!((all[0].event, all[0].attempt), (WebhookEvent::UploadCompleted, 1));
    let body: Value = serde_json::from_str(&all[0].body).unwrap();
    let at = complete.completed_at.unwrap().0;
    let at = std::time::UNIX_EPOCH + Duration::from_millis(at.unsigned_abs());
    let expected = json!({
        "type": "upload.completed",
        "timestamp": humantime::format_rfc3339_millis(at).to_string(),
        "data": { "upload_id": upload.id.to_string(), "file_name": "clip.mp4" },
    });
    assert_eq!(body, expected);
}

async fn without_receivers_nothing_piles_up(db: &Db) {
    db.complete().await;
    db.complete().await;
    assert_eq!(db.catalog.address_webhooks(&[], 1).await.unwrap(), 1);
    assert_eq!(db.catalog.address_webhooks(&[], MANY).await.unwrap(), 1);
    assert_eq!(db.count("webhooks").await, 0);
}

async fn the_ends_of_jobs_are_told(db: &Db) {
    let job = db.planned(1).await;
    for _ in 0..3 {
        let task = db.claim().await.task;
        db.succeed(&task, &effect_of(task.kind, 1)).await;
    }
    assert_eq!(db.job(job).await.state, JobState::Succeeded);
    let bodies = told(db, job).await;
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(bodies[0]["type"], "job.succeeded");
    assert_eq!(bodies[0]["data"].get("error"), None);

    let (_, job) = db.complete().await;
    let task = db.claim().await.task;
    db.catalog.fail_attempt(&task, &permanent(), "").await.unwrap();
    let bodies = told(db, job).await;
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(bodies[0]["type"], "job.failed");
    let error = json!({ "reason": "SOURCE_NOT_MEDIA", "message": "this is a text" });
    assert_eq!(bodies[0]["data"]["error"], error);
}

async fn a_cancelled_job_is_not_told(db: &Db) {
    let (_, job) = db.complete().await;
    let cancelled = db.catalog.cancel_job(&tenant(), job).await.unwrap();
    assert!(matches!(cancelled, Cancelled::Job(job) if job.state == JobState::Cancelled));
    assert_eq!(told(db, job).await, [""; 0]);
}

async fn what_did_not_happen_is_not_told(db: &Db) {
    let (upload, _) = db.receiving().await;
    let before = db.opened(&upload).await;
    db.opened(&upload).await;
    let refused = db.catalog.complete_upload(upload.id, before.writer_epoch, SIZE_BYTES);
    assert_eq!(refused.await.unwrap(), Commit::Superseded);
    assert_eq!(db.count("webhooks").await, 0);
}

async fn no_change_without_its_webhook(db: &Db) {
    let (upload, _) = db.receiving().await;
    let upload = db.opened(&upload).await;
    db.raw("ALTER TABLE webhooks RENAME TO elsewhere").await.unwrap();
    let failed = db.catalog.complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES);
    failed.await.unwrap_err();
    assert_eq!(db.upload(upload.id).await.state, UploadState::Receiving);
}

async fn servers_address_each_message_once(db: &Db) {
    for _ in 0..20 {
        db.complete().await;
    }
    let address = || async {
        let mut addressed = 0;
        loop {
            match db.catalog.address_webhooks(&[url("a"), url("b")], 3).await.unwrap() {
                0 => return addressed,
                count => addressed += count,
            }
        }
    };
    let (one, two, three) = tokio::join!(address(), address(), address());
    assert_eq!(one + two + three, 20);
    assert_eq!(claim_all(db).await.len(), 40);
}

async fn each_try_is_one_servers(db: &Db) {
    due(db, 30).await;
    let servers = (0..4).map(|_| {
        let catalog = db.catalog.clone();
        tokio::spawn(async move {
            let mut messages = Vec::new();
            while let Some(webhook) = catalog.claim_webhook(LONG, &[]).await.unwrap() {
                messages.push(webhook.message);
            }
            messages
        })
    });
    let mut all = Vec::new();
    for server in servers.collect::<Vec<_>>() {
        all.extend(server.await.unwrap());
    }
    // A server that found nothing while others held the rows has stopped early; what it left is here.
    all.extend(claim_all(db).await.into_iter().map(|webhook| webhook.message));
    assert_eq!(all.len(), 30);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 30);
}

async fn a_try_that_was_not_heard_of_again_is_fenced_out(db: &Db) {
    due(db, 1).await;
    let first = claim(db).await.unwrap();
    assert_eq!(claim(db).await, None, "it is being tried");
    db.raw("UPDATE webhooks SET next_at_ms = 0").await.unwrap();
    let second = claim(db).await.unwrap();
    assert_eq!((second.message, second.attempt), (first.message, 2));
    let late = db.catalog.webhook_failed(&first, "too late", NextTry::GiveUp).await;
    assert_eq!(late.unwrap(), Fenced::LeaseLost);
    assert_eq!(db.catalog.webhook_delivered(&second).await.unwrap(), Fenced::Done);
    assert_eq!(db.catalog.webhook_delivered(&second).await.unwrap(), Fenced::LeaseLost);
    db.raw("UPDATE webhooks SET next_at_ms = 0").await.unwrap();
    assert_eq!(claim(db).await, None, "it is delivered");
}

async fn busy_hosts_are_passed_over(db: &Db) {
    db.complete().await;
    db.catalog
        .address_webhooks(&[url("slow"), url("quick")], MANY)
        .await
        .unwrap();
    let claim = async |busy: &[&str]| db.catalog.claim_webhook(LONG, busy).await.unwrap();
    let quick = claim(&["slow.example"]).await.unwrap();
    assert_eq!(quick.host, "quick.example");
    assert_eq!(claim(&["slow.example"]).await, None);
    assert_eq!(claim(&[]).await.unwrap().host, "slow.example");
}

async fn a_failed_one_waits_and_a_given_up_one_is_kept(db: &Db) {
    due(db, 1).await;
    let first = claim(db).await.unwrap();
    let failed = db
        .catalog
        .webhook_failed(&first, "answered 500", NextTry::After(LONG))
        .await;
    assert_eq!(failed.unwrap(), Fenced::Done);
    assert_eq!(claim(db).await, None, "it waits");
    assert_eq!(db.catalog.backlog().await.unwrap().webhooks, 1);
    assert_eq!(db.count("webhooks WHERE error = 'answered 500'").await, 1);
    db.raw("UPDATE webhooks SET next_at_ms = 0").await.unwrap();
    let second = claim(db).await.unwrap();
    db.catalog
        .webhook_failed(&second, "answered 410", NextTry::GiveUp)
        .await
        .unwrap();
    assert_eq!(db.catalog.backlog().await.unwrap().webhooks, 0);
    assert_eq!(
        db.count("webhooks WHERE state = 'given_up' AND error = 'answered 410'")
            .await,
        1
    );
}
