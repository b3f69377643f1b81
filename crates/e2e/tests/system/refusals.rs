//! What a node refuses when it starts, and how it says so.

use std::time::Duration;

use crate::harness::{Node, Process, reelway};

const START_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused() {
    let node = Node::start().await;
    let data = node.data();
    let ports = [
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let mut second = reelway(["serve", "--data", data.to_str().expect("text")]);
    let ended = Process::spawn({
        second.args(ports);
        second
    })
    .ended(START_MAX)
    .await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let said = ended.err.join("\n");
    assert!(
        said.contains("error: ") && said.contains("another reelway process"),
        "{said}"
    );
    // The first one doesn't mind.
    assert!(
        node.client()
            .list_uploads(reelway::v1::ListUploadsRequest::default())
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_beyond_loopback_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("text");
    for option in ["--grpc", "--http", "--admin"] {
        let ended = Process::spawn(reelway(["serve", "--data", data, option, "0.0.0.0:0"]))
            .ended(START_MAX)
            .await;
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let said = ended.err.join("\n");
        assert!(said.contains(option) && said.contains("--insecure"), "{said}");
    }
    let told = Node::with(&["--insecure"]).await;
    assert!(told.http_url().starts_with("http://127.0.0.1:"));
}
