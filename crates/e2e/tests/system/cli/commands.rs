//! Looking at uploads and jobs, steering them, and the commands around a node.

use serde_json::Value;

use crate::harness::{Cli, Clip, Node, clip};

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_listed_shown_and_aborted() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let request = reelway::v1::CreateUploadRequest {
        size_bytes: Some(9),
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let open = node.client().create_upload(request).await.expect("an upload");
    let file = cli.file("done.bin", b"done");
    cli.json([
        "upload",
        file.to_str().expect("text"),
        "--preset",
        "none",
        "--metadata",
        "who=me",
        "--json",
    ])
    .await;

    let all = cli.json(["uploads", "list", "--json"]).await;
    assert_eq!(
        all.iter().map(|upload| &upload["state"]).collect::<Vec<_>>(),
        ["complete", "receiving"],
        "newest first"
    );
    assert_eq!(all[0]["metadata"]["who"], "me");
    let one = cli.json(["uploads", "list", "--limit", "1", "--json"]).await;
    assert_eq!(one.len(), 1);
    let receiving = cli.json(["uploads", "list", "--state", "receiving", "--json"]).await;
    assert_eq!(
        receiving.iter().map(|upload| &upload["id"]).collect::<Vec<_>>(),
        [&*open.id]
    );
    let table = cli.run(["uploads", "list"]).await.out;
    assert!(
        table.len() == 3 && table[1].contains("done.bin"),
        "a head and two rows: {table:?}"
    );

    cli.json(["uploads", "abort", &open.id, "--json"]).await;
    let shown = &cli.json(["uploads", "get", &open.id, "--json"]).await[0];
    assert_eq!(shown["state"], "aborted", "{shown}");
    assert_eq!(
        cli.json(["jobs", "get", &open.job_id, "--json"]).await[0]["state"],
        "cancelled"
    );
    let unknown = cli.run(["uploads", "get", &format!("upl_{}", "0".repeat(32))]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.err.iter().any(|line| line.contains("UPLOAD_NOT_FOUND")),
        "{unknown:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_shown_and_steered() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let file = clip(Clip::short(4)).await;
    let lines = cli
        .json(["upload", file.to_str().expect("text"), "--preset", "fast", "--json"])
        .await;
    let (upload, job) = (text(&lines, "upload_id"), text(&lines, "job_id"));
    for filter in [&["--state", "succeeded"], &["--upload", &*upload]] {
        let listed = cli.json(["jobs", "list", "--json"].iter().chain(filter)).await;
        assert_eq!(
            listed.iter().map(|job| &job["id"]).collect::<Vec<_>>(),
            [&*job],
            "{filter:?}"
        );
    }
    assert!(
        cli.json(["jobs", "list", "--state", "failed", "--json"])
            .await
            .is_empty()
    );
    let shown = &cli.json(["jobs", "get", &job, "--json"]).await[0];
    assert_eq!(
        (&shown["state"], &shown["preset"]),
        (&Value::from("succeeded"), &Value::from("fast"))
    );
    assert_eq!(shown["source"]["frames"], 120, "{shown}");
    assert!(
        shown["renditions"]
            .as_array()
            .is_some_and(|renditions| renditions.len() == 2),
        "240p and audio: {shown}"
    );

    let tasks = cli.json(["jobs", "tasks", &job, "--json"]).await;
    let kinds: Vec<&str> = tasks.iter().filter_map(|task| task["kind"].as_str()).collect();
    assert!(
        kinds.starts_with(&["probe", "plan"]) && kinds.contains(&"video") && kinds.contains(&"audio"),
        "{kinds:?}"
    );
    assert!(
        tasks
            .iter()
            .all(|task| task["state"] == "succeeded" && task["attempt"] == 1),
        "{tasks:?}"
    );
    let table = cli.run(["jobs", "tasks", &job]).await.out;
    assert_eq!(table.len(), tasks.len() + 1, "{table:?}");

    // What has ended well stays as it is.
    assert_eq!(
        cli.json(["jobs", "cancel", &job, "--json"]).await[0]["state"],
        "succeeded"
    );
    let retried = cli.run(["jobs", "retry", &job]).await;
    assert_eq!(retried.code, Some(1), "{retried:#?}");
    assert!(
        retried.err.iter().any(|line| line.contains("JOB_STATE_CONFLICT")),
        "{retried:#?}"
    );
    assert_eq!(cli.run(["jobs", "delete", &job]).await.code, Some(0));
    assert_eq!(cli.run(["jobs", "get", &job]).await.code, Some(1), "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_around_a_node_work() {
    let cli = Cli::at("http://127.0.0.1:1");
    for shell in ["bash", "zsh", "fish"] {
        let ended = cli.run(["completions", shell]).await;
        assert!(
            ended.code == Some(0) && ended.out.iter().any(|line| line.contains("reelway")),
            "{ended:#?}"
        );
    }
    let version = cli.run(["--version"]).await;
    assert_eq!((version.code, version.out.len()), (Some(0), 1));
    let findings = cli.json(["doctor", "--data", "data", "--json"]).await;
    assert!(findings.len() >= 5, "{findings:?}");
    for finding in &findings {
        assert!(
            finding["check"].is_string() && finding["message"].is_string(),
            "{finding}"
        );
        assert_ne!(finding["verdict"], "failed", "{finding}");
    }
    assert_eq!(cli.run(["migrate", "--data", "data"]).await.code, Some(0));
    assert_eq!(
        cli.run(["migrate", "--data", "data"]).await.code,
        Some(0),
        "twice does no harm"
    );
    let node = Node::start().await;
    let refused = cli
        .run(["migrate", "--data", node.data().to_str().expect("text")])
        .await;
    assert_eq!(refused.code, Some(1), "the node has the database: {refused:#?}");
}

fn text(lines: &[Value], field: &str) -> String {
    lines
        .last()
        .and_then(|line| line[field].as_str())
        .expect("text")
        .to_owned()
}
