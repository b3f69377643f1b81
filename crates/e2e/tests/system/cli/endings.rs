//! How the command ends: exit codes and last lines.

use crate::harness::{Cli, Clip, Node, clip};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_a_failed_command() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let file = cli.file("diary.mp4", &b"Dear diary, today I made no video.\n".repeat(100));
    let ended = cli.run(["upload", file.to_str().expect("text"), "--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let lines = ended.json();
    let last = lines.last().expect("a last line");
    assert_eq!(last["state"], "failed", "{last}");
    assert_eq!(last["error"]["reason"], "SOURCE_NOT_MEDIA", "{last}");
    assert!(
        last["error"]["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{last}"
    );
    assert!(last["upload_id"].is_string() && last["job_id"].is_string(), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_file_does_not_keep_the_others_from_it() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let (one, two) = (cli.file("one.bin", b"one"), cli.file("two.bin", b"two"));
    let files = [one.to_str().expect("text"), "missing.bin", two.to_str().expect("text")];
    let ended = cli
        .run(["upload", "--preset", "none", "--json"].into_iter().chain(files))
        .await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let lines = ended.json();
    let results: Vec<_> = lines.iter().filter(|line| line["event"] == "result").collect();
    assert_eq!(
        results.iter().map(|line| line["state"].as_str()).collect::<Vec<_>>(),
        ["complete", "failed", "complete"].map(Some)
    );
    assert_eq!(results[1]["error"]["reason"], "FILE_UNREADABLE");
    assert!(ended.err.iter().any(|line| line.contains("missing.bin")), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_waiting_the_command_ends_when_the_file_is_stored() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let file = clip(Clip::short(4)).await;
    let stored = cli
        .json([
            "upload",
            file.to_str().expect("text"),
            "--preset",
            "fast",
            "--no-wait",
            "--json",
        ])
        .await;
    let last = stored.last().expect("a last line");
    assert_eq!(last["state"], "complete", "{last}");
    let (upload_id, job_id) = (
        last["upload_id"].as_str().expect("an id"),
        last["job_id"].as_str().expect("an id"),
    );
    // Somebody else may watch then, by either id.
    let told = cli.json(["watch", upload_id, "--json"]).await;
    assert!(told.iter().all(|line| line["resume_token"].is_string()), "{told:?}");
    let ended = cli.run(["watch", job_id]).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let url = format!("{}/play/{job_id}/master.m3u8", node.http_url());
    assert_eq!(ended.out.last(), Some(&url));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_worth_another_try() {
    // Nobody listens on port 1.
    let cli = Cli::at("http://127.0.0.1:1");
    let file = cli.file("file.bin", b"file");
    let ended = cli
        .run(["upload", file.to_str().expect("text"), "--preset", "none"])
        .await;
    assert_eq!(ended.code, Some(75), "{ended:#?}");
    let said = ended.err.join("\n");
    assert!(
        said.contains("to continue: reelway upload") && said.contains("reelway serve"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_a_usage_error() {
    let cli = Cli::at("http://127.0.0.1:1");
    for args in [
        &["upload"][..],
        &["watch", "job_1"],
        &["jobs", "list", "--state", "happy"],
        &["frobnicate"],
    ] {
        let ended = cli.run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:#?}");
        assert!(!ended.err.is_empty(), "{args:?}");
    }
    let ended = cli.run(["uploads", "list", "--server", "ftp://nobody"]).await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
}
