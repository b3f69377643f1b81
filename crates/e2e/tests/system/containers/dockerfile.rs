//! The `Dockerfile`, and the image that it makes.

use std::{env, fs};

use super::{container_tool, root};
use crate::harness::Tool;

/// Builds the image and tries it if this is set: it compiles everything, in release mode.
const IMAGE_VARIABLE: &str = "REELWAY_TEST_IMAGE";

/// What `scripts/kube-play` ends with where something is missing that it needs.
const CANT_RUN_HERE: i32 = 77;

/// The instructions, each on one line, without comments.
fn instructions() -> Vec<String> {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("the file");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let whole = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    whole
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The variables that the image sets.
pub(super) fn environment() -> Vec<(String, String)> {
    let set = instructions()
        .into_iter()
        .filter_map(|line| line.strip_prefix("ENV ").map(str::to_owned));
    let pairs = set.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    pairs
        .map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.into(), value.into()))
                .expect("a pair")
        })
        .collect()
}

#[test]
fn the_image_asks_for_nothing_but_its_two_bases() {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("the file");
    assert!(
        !text.contains("\n# syntax=") && !text.starts_with("# syntax="),
        "it would be another image to fetch"
    );
    let lines = instructions();
    for from in lines.iter().filter(|line| line.starts_with("FROM ")) {
        assert!(
            from.starts_with("FROM ${RUST_IMAGE}") || from == "FROM ${RUNTIME_IMAGE}",
            "{from}"
        );
    }
    for base in ["RUST_IMAGE", "RUNTIME_IMAGE"] {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&format!("ARG {base}=docker.io/"))),
            "{base}"
        );
    }
    for line in [
        "USER 10001:10001",
        "STOPSIGNAL SIGTERM",
        "ENTRYPOINT [\"reelway\"]",
        "CMD [\"serve\"]",
    ] {
        assert!(lines.iter().any(|instruction| instruction == line), "{line}");
    }
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("HEALTHCHECK ") && line.ends_with("CMD [\"reelway\", \"health\"]"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linter_finds_nothing_in_the_dockerfile() {
    let mut lint = container_tool("hadolint").await;
    let output = lint.arg(root().join("Dockerfile")).output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let bad = tempfile::NamedTempFile::new().expect("a file");
    fs::write(bad.path(), "FROM debian:bookworm-slim\nCMD reelway serve\n").expect("a written file");
    let mut lint = container_tool("hadolint").await;
    assert!(
        !lint.arg(bad.path()).output().await.expect("it runs").status.success(),
        "it finds what is wrong"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_built_and_works() {
    let Ok(how) = env::var(IMAGE_VARIABLE) else {
        eprintln!("skipped: {IMAGE_VARIABLE} is not set");
        return;
    };
    let mut script = Tool::new("bash");
    script.path(&root().join("scripts/image"));
    if how == "local-bases" {
        script.args(["--local-bases"]);
    }
    let said = script.args(["--tag", "reelway:test"]).run().await;
    eprintln!("{said}");
    assert!(said.contains("\"state\":\"succeeded\""), "{said}");
    if how == "local-bases" {
        the_chart_runs_with_it().await;
    }
}

/// What the chart renders, as containers.
async fn the_chart_runs_with_it() {
    let mut play = tokio::process::Command::new(root().join("scripts/kube-play"));
    let played = play.arg("localhost/reelway:test").output().await.expect("bash runs");
    let (said, why) = (
        String::from_utf8_lossy(&played.stdout),
        String::from_utf8_lossy(&played.stderr),
    );
    eprintln!("{said}{why}");
    if played.status.code() == Some(CANT_RUN_HERE) {
        eprintln!("skipped: {why}");
        return;
    }
    assert!(played.status.success() && said.contains("the video went through"));
}
