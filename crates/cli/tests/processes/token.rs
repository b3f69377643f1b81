//! Callers who have to say who they are, and the keys that they show.

use std::{path::Path, process::Output};

use http::{Method, Request, header::CONTENT_TYPE};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tonic::{Code, Status, body::Body, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceExt as _;

use crate::node::{Node, reelway, run, until};

/// `reelway token` on a node's data, with JSON.
async fn token(data: &Path, args: &[&str]) -> Value {
    let mut command = reelway(["token"]);
    command.args(args).arg("--json").arg("--data").arg(data);
    let done = run(command).await;
    assert!(done.status.success(), "{done:?}");
    serde_json::from_slice(&done.stdout).expect("a line of JSON")
}

/// A list command with a key.
async fn list(url: &str, what: &str, key: Option<&str>) -> Output {
    let mut command = reelway([what, "list", "--server", url]);
    if let Some(key) = key {
        command.env("REELWAY_TOKEN", key);
    }
    run(command).await
}

fn says(output: &Output, reason: &str) -> bool {
    output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains(reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_used_and_ended_beside_a_running_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--auth", "required"]).await;
    let url = node.url("grpc").await;
    let nobody = list(&url, "uploads", None).await;
    assert!(
        says(&nobody, "CREDENTIALS_MISSING") && says(&nobody, "REELWAY_TOKEN"),
        "{nobody:?}"
    );

    let named = [
        "--tenant",
        "acme",
        "--name",
        "test",
        "--scope",
        "uploads:read",
        "--expires",
        "30d",
    ];
    let made = token(dir.path(), &[&["create"], &named[..]].concat()).await;
    let (id, key) = (
        made["id"].as_str().expect("an id"),
        made["key"].as_str().expect("a key"),
    );
    assert!(key.starts_with(id) && made["state"] == "active", "{made}");
    let known = list(&url, "uploads", Some(key)).await;
    assert!(known.status.success(), "{known:?}");
    let beyond = list(&url, "jobs", Some(key)).await;
    assert!(says(&beyond, "PERMISSION_MISSING"), "{beyond:?}");
    let wrong = list(&url, "uploads", Some(&key[..key.len() - 1])).await;
    assert!(says(&wrong, "CREDENTIALS_INVALID"), "{wrong:?}");

    let listed = token(dir.path(), &["list", "--tenant", "acme"]).await;
    assert!(listed["id"] == id && listed.get("key").is_none(), "{listed}");
    assert_eq!(token(dir.path(), &["revoke", id]).await["state"], "revoked");
    until("the end of the key", async || {
        says(&list(&url, "uploads", Some(key)).await, "CREDENTIALS_INVALID")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_for_a_database_that_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = reelway(["token", "list", "--data"]);
    let missing = run({
        command.arg(dir.path());
        command
    })
    .await;
    assert!(says(&missing, "there is no database"), "{missing:?}");
    assert_eq!(
        dir.path().read_dir().expect("a directory").count(),
        0,
        "nothing is made"
    );
}

/// Every method of the contract, each as `/package.Service/Method`.
fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(reelway::FILE_DESCRIPTOR_SET).expect("descriptors");
    let services = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let named = services.flat_map(|(file, service)| {
        let methods = service.method.iter();
        methods.map(move |method| format!("/{}.{}/{}", file.package(), service.name(), method.name()))
    });
    named.collect()
}

/// What a server says to a call without a message, before it looks for one.
async fn answer(channel: &Channel, method: &str) -> Option<Code> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(method)
        .header(CONTENT_TYPE, "application/grpc");
    let request = request.header("te", "trailers").body(Body::empty()).expect("a request");
    let response = channel.clone().oneshot(request).await.expect("an answer");
    Status::from_header_map(response.headers()).map(|status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_answers_to_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--auth", "required"]).await;
    let channel = node.channel("grpc").await;
    let methods = methods();
    assert!(methods.len() >= 18, "{methods:?}");
    for method in methods {
        assert_eq!(answer(&channel, &method).await, Some(Code::Unauthenticated), "{method}");
    }
    let service = "reelway.v1.UploadService".to_owned();
    let health = HealthClient::new(channel).check(HealthCheckRequest { service }).await;
    health.expect("the probes of load balancers have no keys");
}
