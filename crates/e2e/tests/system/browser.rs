//! A browser: Uppy in a headless Chromium, on a page of another origin.

use std::path::Path;

use reelway_testkit::free_port;
use serde_json::Value;

use crate::harness::{Clip, Node, Tool, clip, environment};

/// Several chunks of 4 MiB: the line is cut after the first.
const CLIP: Clip = Clip {
    name: "browser.mp4",
    options: &["-vf", "noise=alls=20:allf=t", "-b:v", "12M"],
    ..Clip::short(12)
};

#[tokio::test(flavor = "multi_thread")]
async fn uppy_uploads_over_a_line_that_is_cut() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = environment("node-env.sh", "browser", "browser/package.json").await;
    let page_port = free_port().to_string();
    let node = Node::with(&["--cors-origin", &format!("http://127.0.0.1:{page_port}")]).await;
    let file = clip(CLIP).await;
    let mut browser = Tool::new("node");
    browser.env("NODE_DIR", &packages);
    browser.path(&here.join("browser/drive.mjs"));
    browser.args([&page_port, &format!("{}/files/", node.http_url())]);
    let said = browser.path(&file).run().await;
    let told: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).expect("a line of JSON");
    assert_eq!(told["failed"], Value::Array(Vec::new()), "{told}");
    let size = std::fs::metadata(&file).expect("the clip").len();
    let cut_at = told["cut_at"].as_u64().expect("where it was cut");
    assert!(cut_at < size, "it was cut in the middle: {told}");
    let url = told["url"].as_str().expect("the upload's URL");
    let id = url.rsplit('/').next().expect("an id");
    assert_eq!(
        node.stored(id),
        std::fs::read(&file).expect("the clip"),
        "every byte is as it was"
    );
}
