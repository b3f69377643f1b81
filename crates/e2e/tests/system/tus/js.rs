//! tus-js-client, in Node.js.

use serde_json::Value;

use super::{file, get, here, id};
use crate::harness::{Node, Tool, environment, within_secs};

#[tokio::test(flavor = "multi_thread")]
async fn tus_js_client_uploads_in_every_way_it_knows() {
    let packages = environment("node-env.sh", "tus-js-client", "tus/package.json").await;
    let node = Node::start().await;
    let (whole, path) = file(&node);
    let mut client = Tool::new("node");
    client.env("NODE_DIR", &packages).path(&here().join("client.mjs"));
    let said = client
        .args([format!("{}/files/", node.http_url())])
        .path(&path)
        .run()
        .await;
    let told: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let names: Vec<_> = told.iter().map(|way| way["name"].as_str().expect("a name")).collect();
    let all = [
        "create",
        "chunks",
        "resume",
        "parallel",
        "deferred",
        "withUpload",
        "override",
        "terminate",
    ];
    assert_eq!(names, all, "{said}");
    for way in &told {
        let (name, upload_id) = (
            way["name"].as_str().expect("a name"),
            id(way["url"].as_str().expect("a URL")),
        );
        if name == "terminate" {
            assert!(node.upload_files(upload_id).is_empty(), "its bytes are gone");
            continue;
        }
        // What is put together from parts is complete a little later.
        within_secs(20, name, async || get(&node, upload_id).await.complete_time.is_some()).await;
        assert!(node.stored(upload_id) == whole, "{name}: other bytes");
        let upload = get(&node, upload_id).await;
        assert_eq!(
            (upload.file_name.as_str(), upload.content_type.as_str()),
            ("wörld.bin", "application/x-test")
        );
        check_requests(name, way["asked"].as_array().expect("requests"));
    }
}

/// Whether a way of uploading was really taken.
fn check_requests(name: &str, asked: &[Value]) {
    let of = |method: &str| -> Vec<&Value> { asked.iter().filter(|request| request["method"] == method).collect() };
    match name {
        "resume" => {
            let heads = of("HEAD");
            let offset = heads
                .first()
                .and_then(|head| head["offset"].as_str())
                .expect("it asked where to go on");
            let offset: usize = offset.parse().expect("an offset");
            // All that the broken line had carried, but for what was still on its way.
            assert!(offset > 1 << 20, "resumed at {offset}");
        }
        "parallel" => assert_eq!(of("POST").len(), 5, "four parts and the whole: {asked:?}"),
        "withUpload" => assert!(of("PATCH").is_empty(), "{asked:?}"),
        "override" => assert!(of("PATCH").is_empty() && of("POST").len() > 5, "{asked:?}"),
        "chunks" | "deferred" => assert!(of("PATCH").len() > 5, "{asked:?}"),
        _ => assert_eq!((of("POST").len(), of("PATCH").len()), (1, 1), "{asked:?}"),
    }
}
