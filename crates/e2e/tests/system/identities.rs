//! Who may do what: every method that there is, called by everybody who may not.

mod anyone;
mod ids;
mod methods;

use std::time::Duration;

use reelway::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use self::{anyone::Deployment, methods::Method};
use crate::harness::{Clip, clip};

/// Servers keep what they know of a key for a few seconds.
const REVOKED_WITHIN: Duration = Duration::from_secs(8);

/// What a status tells.
fn told(status: &Status) -> (Code, String, String) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    (status.code(), reason, status.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered() {
    let deployment = Deployment::start().await;
    let methods = Method::all();
    assert!(methods.len() >= 18, "all methods of three services: {}", methods.len());
    for method in &methods {
        for (token, reason) in [
            (None, "CREDENTIALS_MISSING"),
            (Some("rwk_no_key"), "CREDENTIALS_INVALID"),
        ] {
            let status = deployment.call(method, token, "", "").await.expect_err(&method.path);
            assert_eq!(
                (status.code(), told(&status).1.as_str()),
                (Code::Unauthenticated, reason),
                "{}",
                method.path
            );
        }
    }
    for path in [
        "/v1/uploads",
        "/v1/jobs",
        "/v1/events",
        "/v1/jobs/job_00000000000000000000000000000000",
        "/v1/jobs/job_00000000000000000000000000000000/events",
    ] {
        let answer = deployment.get(path, None).await;
        assert_eq!(answer.0, 401, "{path}: {}", answer.1);
        assert!(answer.1.contains("CREDENTIALS_MISSING"), "{path}: {}", answer.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_are_like_ids_that_there_are_not() {
    let deployment = Deployment::start().await;
    let (alice, bob) = (deployment.key("alice", "all").await, deployment.key("bob", "all").await);
    let upload = deployment.upload(&alice, &clip(Clip::short(2)).await).await;
    let unknown_upload = "upl_00000000000070008000000000000000";
    let unknown_job = "job_00000000000070008000000000000000";
    for method in Method::all().iter().filter(|method| method.names_something()) {
        let theirs = deployment.call(method, Some(&bob), &upload.id, &upload.job_id).await;
        let nobodys = deployment.call(method, Some(&bob), unknown_upload, unknown_job).await;
        let blank = |answer: Result<Vec<u8>, Status>| {
            let (code, reason, message) = told(&answer.expect_err(&method.path));
            let message = [&upload.id, &upload.job_id, unknown_upload, unknown_job]
                .iter()
                .fold(message, |message, id| message.replace(*id, "ID"));
            (code, reason, message)
        };
        let (theirs, nobodys) = (blank(theirs), blank(nobodys));
        assert_eq!(theirs, nobodys, "{}", method.path);
        assert!(!theirs.1.is_empty(), "{}: {theirs:?}", method.path);
    }
    for path in ["/v1/uploads", "/v1/jobs"] {
        let (status, body) = deployment.get(path, Some(&bob)).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(
            !body.contains(&upload.id) && !body.contains(&upload.job_id),
            "{path}: {body}"
        );
        assert!(
            deployment.get(path, Some(&alice)).await.1.contains(&upload.id),
            "{path}: she has it"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let deployment = Deployment::start().await;
    let reader = deployment.key("alice", "uploads:read").await;
    for method in Method::all() {
        let answer = deployment.call(&method, Some(&reader), "", "").await;
        let refused = answer
            .as_ref()
            .is_err_and(|status| told(status).1 == "PERMISSION_MISSING");
        assert_eq!(
            !refused,
            method.is("GetUpload") || method.is("ListUploads"),
            "{}: {answer:?}",
            method.path
        );
    }
    deployment.revoke(&reader).await;
    let list = Method::named("ListUploads");
    let is_over = async || deployment.call(&list, Some(&reader), "", "").await.err().map(drop);
    crate::harness::within(REVOKED_WITHIN, "the key to be refused", is_over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_for_the_byte_path_of_one_upload() {
    let deployment = Deployment::start().await;
    let alice = deployment.key("alice", "all").await;
    let (granted, other) = (deployment.create(&alice).await, deployment.create(&alice).await);
    let grant = deployment.grant(&alice, &granted, Duration::from_secs(600)).await;
    for method in Method::all() {
        let answer = deployment.call(&method, Some(&grant.token), &other, "").await;
        let (code, reason, _) = told(&answer.expect_err(&method.path));
        let expected = match method.is_byte_path() {
            true => (Code::NotFound, "UPLOAD_NOT_FOUND"),
            false => (Code::PermissionDenied, "PERMISSION_MISSING"),
        };
        // What isn't offered yet says so to everybody who may call it.
        assert!(
            (code, reason.as_str()) == expected || reason == "FEATURE_UNAVAILABLE",
            "{}: {code:?} {reason}",
            method.path
        );
    }
    let get = Method::named("GetUpload");
    let upload = deployment
        .call(&get, Some(&grant.token), &granted, "")
        .await
        .expect("its own upload");
    let upload: v1::GetUploadResponse = prost::Message::decode(upload.as_slice()).expect("an answer");
    assert_eq!(upload.upload.expect("an upload").id, granted);
    // The signed URL alone is enough for a browser.
    assert_eq!(deployment.head(&grant.url).await, 200);
    let brief = deployment.grant(&alice, &granted, Duration::from_secs(1)).await;
    let has_ended = async || {
        let answer = deployment.call(&get, Some(&brief.token), &granted, "").await;
        (told(&answer.err()?).1 == "CREDENTIALS_INVALID").then_some(())
    };
    crate::harness::within(Duration::from_secs(60), "the grant to end", has_ended).await;
}
