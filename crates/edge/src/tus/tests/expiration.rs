//! expiration.

use std::time::{Duration, SystemTime};

use reelway_domain::UploadState;

use super::*;
use crate::testing::{Setup, until};

on_both!(
    ex1_ex2_ex3_ex4_answers_say_when_the_upload_goes,
    ex5_what_expired_is_gone,
    ex6_what_is_complete_stays,
);

/// When a header says that the upload goes.
fn expires(answer: &Answer) -> SystemTime {
    let date = answer.header("upload-expires").expect("a date");
    assert!(date.ends_with(" GMT") && date.len() == 29, "IMF-fixdate: {date}");
    httpdate::parse_http_date(date).unwrap()
}

async fn ex1_ex2_ex3_ex4_answers_say_when_the_upload_goes(at: At) {
    let node = Node::start_at(at).await;
    let about = SystemTime::now() + reelway_domain::limits::UPLOAD_EXPIRY_DEFAULT;
    let is_right = |answer: &Answer| {
        let late = expires(answer).duration_since(about - Duration::from_secs(60));
        late.is_ok_and(|late| late < Duration::from_secs(180))
    };
    let answer = post(&node, &[("Upload-Length", "6"), NO_JOB]).await;
    assert!(is_right(&answer), "{answer:?}");
    let path = answer.location();
    assert!(is_right(&patch(&node, &path, 0, b"abc").await));
    assert!(is_right(&head(&node, &path).await));
}

async fn ex5_what_expired_is_gone(at: At) {
    let uploads = reelway_upload::Settings {
        expiry: Duration::from_millis(1),
        ..reelway_upload::Settings::default()
    };
    let node = Node::with(Setup {
        at,
        uploads,
        ..Setup::default()
    })
    .await;
    let path = created(&node, 6).await;
    until(async || node.catalog.expire_uploads(10).await.unwrap() == 1).await;
    assert_eq!(node.upload(id(&path)).await.state, UploadState::Expired);
    assert_eq!(head(&node, &path).await.status, 410);
    assert_eq!(patch(&node, &path, 0, b"abc").await.status, 410);
    assert_eq!(send(&node, "DELETE", &path, &[], b"").await.status, 410);
}

async fn ex6_what_is_complete_stays(at: At) {
    let uploads = reelway_upload::Settings {
        expiry: Duration::from_millis(1),
        ..reelway_upload::Settings::default()
    };
    let node = Node::with(Setup {
        at,
        uploads,
        ..Setup::default()
    })
    .await;
    let headers = [OCTETS, ("Upload-Length", "3"), NO_JOB];
    let answer = send(&node, "POST", "/files/", &headers, b"abc").await;
    assert_eq!((answer.status, answer.header("upload-expires")), (201, None));
    let other = created(&node, 6).await;
    until(async || node.catalog.expire_uploads(10).await.unwrap() == 1).await;
    assert_eq!(head(&node, &other).await.status, 410, "time has passed");
    let answer = head(&node, &answer.location()).await;
    assert_eq!((answer.status, answer.header("upload-expires")), (200, None));
}
