//! A node whose bytes are in a bucket, on the S3 server that `scripts/test` starts.

use std::{env, fs, path::Path, process::Command};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::node::{Node, reelway, run};

/// What only a signed request has.
const SIGNATURES: [&str; 2] = ["Signature=", "AWS4-HMAC-SHA256 Credential"];

fn of_environment(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"))
}

/// Options of a node on a part of the bucket that nobody else uses.
fn options(dir: &TempDir) -> [String; 4] {
    let name = dir
        .path()
        .file_name()
        .expect("it has a name")
        .to_string_lossy()
        .into_owned();
    let store = format!("{}/{name}", of_environment("REELWAY_TEST_S3"));
    let endpoint = of_environment("REELWAY_TEST_S3_ENDPOINT");
    ["--store".to_owned(), store, "--store-endpoint".to_owned(), endpoint]
}

/// All that a command said, whatever its end.
async fn said(command: Command) -> (bool, String) {
    let told = run(command).await;
    let text = [told.stdout, told.stderr].concat();
    (told.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn metrics(node: &mut Node) -> String {
    let mut stream = TcpStream::connect(node.admin().await).await.expect("a connection");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    text
}

fn expect_no_secrets(text: &str, secrets: &[&str]) {
    for secret in secrets.iter().chain(&SIGNATURES) {
        let found = text.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "it shows {secret:?}");
    }
}

#[tokio::test]
async fn nobody_is_told_the_keys_of_the_bucket() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, file) = (dir.path().join("data"), dir.path().join("a.bin"));
    // More than a part, so that all kinds of requests are made.
    fs::write(&file, vec![7; 9 << 20]).expect("a file");
    let (bucket, secret) = (options(&dir), of_environment("AWS_SECRET_ACCESS_KEY"));
    let serve: Vec<&str> = bucket.iter().map(String::as_str).chain(["--log", "trace"]).collect();
    let mut node = Node::whole(&data, &serve).await;
    let server = node.url("grpc").await;
    let mut upload = reelway(["upload", "--server", &server, "--preset", "none"]);
    upload.arg(&file);
    let (is_done, told) = said(upload).await;
    assert!(is_done, "{told}");
    let shown = metrics(&mut node).await;
    assert!(shown.contains("reelway_"), "{shown}");
    node.signal(Signal::SIGTERM);
    let logged = node.last_words().await;
    assert!(
        logged.contains("TRACE") || logged.contains("DEBUG"),
        "nothing was logged that could tell"
    );
    let mut doctor = reelway(["doctor", "--json"]);
    doctor.args(&bucket).arg("--data").arg(&data);
    let (_, found) = said(doctor).await;
    assert!(found.contains("writable"), "{found}");
    for text in [told, shown, logged, found] {
        expect_no_secrets(&text, &[&secret]);
    }
}

#[tokio::test]
async fn a_store_that_refuses_the_keys_is_named_without_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let (secret, token) = ("wrong-secret-that-nobody-sees", "session-token-that-nobody-sees");
    for what in ["doctor", "serve"] {
        let mut command = reelway([what, "--log", "trace"]);
        command.args(options(&dir)).arg("--data").arg(dir.path());
        command
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_SESSION_TOKEN", token);
        let (is_fine, told) = said(command).await;
        assert!(!is_fine && told.contains("store.id"), "{told}");
        expect_no_secrets(&told, &[secret, token]);
    }
}

#[tokio::test]
async fn leftovers_are_listed_and_removed_beside_a_running_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, bucket) = (dir.path().join("data"), options(&dir));
    let serve: Vec<&str> = bucket.iter().map(String::as_str).collect();
    let mut node = Node::whole(&data, &serve).await;
    let leftovers = async |data: &Path, more: &[&str]| {
        let mut command = reelway(["store", "leftovers", "--json"]);
        command.args(&bucket).arg("--data").arg(data).args(more);
        said(command).await
    };
    let file = dir.path().join("a.bin");
    fs::write(&file, b"eight by").expect("a file");
    let server = node.url("grpc").await;
    let mut upload = reelway(["upload", "--server", &server, "--preset", "none"]);
    upload.arg(&file);
    assert!(said(upload).await.0);
    let (is_done, told) = leftovers(&data, &["--older-than", "0s"]).await;
    assert!(is_done && told.contains("0 left over"), "{told}");

    // Another deployment's database knows nothing of this bucket: all of it would look left over.
    let other = dir.path().join("other");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let other_bucket = options(&elsewhere);
    let other_serve: Vec<&str> = other_bucket.iter().map(String::as_str).collect();
    let _other_node = Node::whole(&other, &other_serve).await;
    let (is_done, told) = leftovers(&other, &["--older-than", "0s", "--remove"]).await;
    assert!(!is_done && told.contains("STORE_MISMATCH"), "{told}");
}
