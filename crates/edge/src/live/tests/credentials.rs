//! Who may watch.

use reelway_auth::{Auth, AuthSettings, FreshApiKey, Scope, SigningKeys};
use reelway_catalog::NewApiKey;
use reelway_domain::Tenant;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::{
    harness::{Live, Setup},
    reader::Reader,
};

/// An edge before services that want to know who calls.
async fn guarded() -> Live {
    let setup = Setup {
        auth: |catalog| {
            let settings = AuthSettings {
                keys: SigningKeys::random(),
                jwt: None,
            };
            Auth::new(settings, catalog.clone()).unwrap()
        },
        ..Setup::default()
    };
    Live::with(setup).await
}

/// A key of a tenant with one scope.
async fn key(live: &Live, tenant: &str, scope: Scope) -> String {
    let fresh = FreshApiKey::generate();
    let new = NewApiKey {
        id: fresh.id,
        tenant: Tenant::named(tenant).unwrap(),
        name: String::new(),
        secret_sha256: fresh.secret_sha256,
        scopes: vec![scope.to_string()],
        lifetime: None,
    };
    live.node.catalog.create_api_key(&new).await.unwrap();
    fresh.text
}

/// How a WebSocket begins: with a message, or closed with this number.
async fn socket(live: &Live, path: &str) -> Result<(), u16> {
    let (mut socket, _) = connect_async(format!("ws://{}{path}", live.address)).await.unwrap();
    match socket.next().await.unwrap().unwrap() {
        Message::Close(frame) => Err(frame.unwrap().code.into()),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn only_who_may_look_at_jobs_can_watch() {
    let live = guarded().await;
    let (_, job) = live.job().await;
    let ours = Tenant::single();
    let reader = key(&live, ours.as_str(), Scope::JobsRead).await;
    let writer = key(&live, ours.as_str(), Scope::UploadsWrite).await;
    for (token, status, reason, close) in [
        (String::new(), 401, "CREDENTIALS_MISSING", 1008),
        ("?access_token=wrong".to_owned(), 401, "CREDENTIALS_INVALID", 1008),
        (format!("?access_token={writer}"), 403, "PERMISSION_MISSING", 1008),
    ] {
        for watched in [format!("/v1/jobs/{job}"), "/v1".to_owned()] {
            let answer = Reader::get(live.address, &format!("{watched}/events{token}"), "").await;
            assert_eq!(answer.status, status, "{token}");
            assert_eq!(
                answer.head.contains("www-authenticate: bearer"),
                status == 401,
                "{}",
                answer.head
            );
            assert_eq!(answer.problem().await["reason"], reason);
            assert_eq!(socket(&live, &format!("{watched}/ws{token}")).await, Err(close));
        }
    }
    let token = format!("?access_token={reader}");
    assert_eq!(
        Reader::get(live.address, &format!("/v1/jobs/{job}/events{token}"), "")
            .await
            .status,
        200
    );
    assert_eq!(socket(&live, &format!("/v1/jobs/{job}/ws{token}")).await, Ok(()));
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let live = guarded().await;
    let (upload, job) = live.job().await;
    let token = format!("?access_token={}", key(&live, "stranger", Scope::JobsRead).await);
    for (watched, reason) in [
        (format!("/v1/jobs/{job}"), "JOB_NOT_FOUND"),
        (format!("/v1/uploads/{upload}"), "UPLOAD_NOT_FOUND"),
    ] {
        let answer = Reader::get(live.address, &format!("{watched}/events{token}"), "").await;
        assert_eq!(
            (answer.status, answer.problem().await["reason"].as_str()),
            (404, Some(reason))
        );
        assert_eq!(socket(&live, &format!("{watched}/ws{token}")).await, Err(4404));
    }
    let mut everything = Reader::get(live.address, &format!("/v1/events{token}"), "").await;
    assert_eq!(
        everything.event("snapshot").await.json()["entries"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}
