//! Settings that can't work together are refused by name, before anything is touched.

use std::time::Duration;

use crate::harness::{Process, reelway};

const START_MAX: Duration = Duration::from_secs(30);

/// Nobody listens there, and nobody is asked.
const POSTGRES: [&str; 2] = ["--database", "postgres://reelway:hush@127.0.0.1:1/reelway"];
const REDIS: [&str; 2] = ["--redis", "redis://:hush@127.0.0.1:1"];
const SHARED: [&str; 2] = ["--store", "file:///nowhere/store?shared=true"];

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_contradict_each_other_are_refused_by_name() {
    let (upload, two, grpc) = (
        ["--role", "upload"],
        ["--role", "jobs,progress"],
        ["--grpc", "127.0.0.1:7"],
    );
    let hook = ["--webhook-url", "https://hooks.example/a"];
    let age = ["--max-connection-age", "10ms"];
    let same = ["--jobs-grpc", "127.0.0.1:7", "--progress-grpc", "127.0.0.1:7"];
    let alone = ["--store", "file:///nowhere/store"];
    // What is given, the option that is named, and the reason.
    let cases: [(&[&[&str]], &str, &str); 9] = [
        (&[&upload, &REDIS, &SHARED], "--role", "SQLite belongs to one process"),
        (&[&upload, &POSTGRES, &SHARED], "--role", "without Redis"),
        (
            &[&upload, &POSTGRES, &REDIS, &alone],
            "--store",
            "belongs to one process",
        ),
        (&[&REDIS], "--redis", "SQLite belongs to one process"),
        (
            &[&two, &POSTGRES, &REDIS, &SHARED, &grpc],
            "--grpc",
            "an address of its own",
        ),
        (
            &[&two, &POSTGRES, &REDIS, &SHARED, &same],
            "--progress-grpc",
            "--jobs-grpc too",
        ),
        (&[&hook], "--webhook-url", "secret"),
        (
            &[&upload, &POSTGRES, &REDIS, &SHARED, &age],
            "--max-connection-age",
            "1s or more",
        ),
        (
            &[&["--database", "mysql://reelway:hush@127.0.0.1/reelway"]],
            "--database",
            "postgres://",
        ),
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    for (options, named, reason) in cases {
        let mut command = reelway(["serve"]);
        command.args(options.concat()).arg("--data").arg(&data);
        let ended = Process::spawn(command).ended(START_MAX).await;
        let said = ended.err.join("\n");
        assert_eq!(ended.code, Some(2), "{options:?}: {said}");
        assert!(
            said.contains(&format!("error: USAGE: {named}")) && said.contains(reason),
            "{options:?}: {said}"
        );
        assert!(!said.contains("hush"), "passwords are not told: {said}");
        assert!(!data.exists(), "nothing was touched: {options:?}");
    }
}
