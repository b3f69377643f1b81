//! What a page does with nothing but HTTP: it asks the JSON API where parts go, and puts them there.

use std::path::Path;

use bytes::Bytes;
use hyper::StatusCode;
use reelway::v1;
use reelway_testkit::{S3Call, S3Fault};
use serde_json::{Value, json};

use super::Bucket;
use crate::harness::{Node, noise, tool};

const PART_BYTES: usize = 8 << 20;

/// A page, and the server that it came from.
struct Page<'a> {
    node: &'a Node,
    dir: tempfile::TempDir,
}

impl Page<'_> {
    fn on(node: &Node) -> Page<'_> {
        let dir = tempfile::tempdir().expect("a directory");
        Page { node, dir }
    }

    /// Asks, and gives the answer whatever its status is.
    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.node.http_url());
        let head = ["-sS", "-H", "Content-Type: application/json", "--data-binary"];
        let said = tool("curl", &[&head[..], &[&body.to_string(), &url]].concat()).await;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Puts bytes under a URL, and gives what the bucket calls them.
    async fn put(&self, url: &str, bytes: &[u8]) -> String {
        let file = self.dir.path().join("part");
        std::fs::write(&file, bytes).expect("a file");
        let args = ["-sSf", "-H", "Expect:", "-o", "/dev/null", "-D", "-", "-T"];
        let head = tool("curl", &[&args[..], &[text_of(&file), url]].concat()).await;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let etag = lines.find(|(name, _)| name.eq_ignore_ascii_case("etag"));
        etag.expect("an ETag").1.trim().to_owned()
    }

    /// Puts a part of the file where it belongs; gives how it is reported.
    async fn put_part(&self, part: &Value, file: &[u8]) -> Value {
        let number = |name: &str| number(&part[name]);
        let bytes = &file[number("offset")..][..number("sizeBytes")];
        let etag = self.put(part["url"].as_str().expect("a URL"), bytes).await;
        json!({"number": part["number"], "etag": etag})
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A number, which JSON may have as text or leave out.
fn number(value: &Value) -> usize {
    let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    text.parse().unwrap_or(0)
}

async fn upload(node: &Node, upload_id: &str) -> v1::Upload {
    let request = v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer: false,
    };
    node.client().get_upload(request).await.expect("the upload")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_puts_a_file_into_the_bucket() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (page, file) = (Page::on(&node), Bytes::from(noise(1, 2 * PART_BYTES + 9)));
    let request = json!({"sizeBytes": file.len(), "preset": "none"});
    let created = page.post("/v1/uploads", &request).await;
    let id = created["upload"]["id"].as_str().expect("an id");
    let parts = format!("/v1/uploads/{id}/parts");
    let first = page.post(&parts, &json!({"partCount": 2})).await;
    let epoch = &first["writerEpoch"];
    let (report, due) = (format!("{parts}/report"), first["parts"].as_array().expect("parts"));
    assert_eq!(due.len(), 2);
    let put = [page.put_part(&due[1], &file).await, page.put_part(&due[0], &file).await];
    let counted = page.post(&report, &json!({"writerEpoch": epoch, "parts": put})).await;
    assert_eq!(number(&counted["durableOffset"]), 2 * PART_BYTES, "{counted}");
    let wrong = json!({"writerEpoch": epoch, "parts": [{"number": 77, "etag": "x"}]});
    let refused = page.post(&report, &wrong).await;
    assert_eq!(
        (&refused["status"], &refused["reason"]),
        (&json!(409), &json!("PART_MISMATCH"))
    );
    let last = page.post(&parts, &json!({"writerEpoch": epoch})).await;
    let put = page.put_part(&last["parts"][0], &file).await;
    let counted = page.post(&report, &json!({"writerEpoch": epoch, "parts": [put]})).await;
    assert_eq!(number(&counted["durableOffset"]), file.len(), "{counted}");
    let none = page.post(&parts, &json!({"writerEpoch": epoch})).await;
    assert_eq!(none["parts"].as_array().map_or(0, Vec::len), 0, "{none}");
    let complete = format!("/v1/uploads/{id}/complete");
    page.post(&complete, &json!({"sizeBytes": file.len()})).await;
    bucket.has_exactly(&upload(&node, id).await, &file).await;
}

/// The store is one that has only the newest of a part, as Amazon's.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_put_again_after_it_counted_is_asked_for_again() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (page, file) = (Page::on(&node), Bytes::from(noise(2, 3 * PART_BYTES)));
    let request = json!({"sizeBytes": file.len(), "preset": "none"});
    let created = page.post("/v1/uploads", &request).await;
    let id = created["upload"]["id"].as_str().expect("an id");
    let (parts, complete) = (format!("/v1/uploads/{id}/parts"), format!("/v1/uploads/{id}/complete"));
    let report = format!("{parts}/report");
    let first = page.post(&parts, &json!({})).await;
    let mut put = Vec::new();
    for part in first["parts"].as_array().expect("parts") {
        put.push(page.put_part(part, &file).await);
    }
    let counts = json!({"writerEpoch": first["writerEpoch"], "parts": put});
    page.post(&report, &counts).await;
    let second = &first["parts"][1];
    page.put(second["url"].as_str().expect("a URL"), &file[..PART_BYTES])
        .await;
    let mut completions = 0;
    bucket.proxy.breaks(move |call| {
        completions += u32::from(call == S3Call::Complete);
        (call == S3Call::Complete && completions == 1).then_some(S3Fault::Answer(StatusCode::BAD_REQUEST))
    });
    let size = json!({"sizeBytes": file.len()});
    for time in ["found out", "remembered"] {
        let refused = page.post(&complete, &size).await;
        assert_eq!(refused["reason"], "PART_MISMATCH", "{time}: {refused}");
        assert_eq!(
            refused["metadata"]["partNumbers"],
            second["number"].to_string(),
            "{time}"
        );
    }
    let durable = upload(&node, id).await.durable_offset;
    assert_eq!(usize::try_from(durable), Ok(file.len()), "offsets never go back");
    let again = page.post(&parts, &json!({})).await;
    let due = again["parts"].as_array().expect("parts");
    assert_eq!(due.len(), 1, "{again}");
    assert_eq!(
        (&due[0]["number"], &due[0]["offset"]),
        (&second["number"], &second["offset"])
    );
    let put = page.put_part(&due[0], &file).await;
    let counts = json!({"writerEpoch": again["writerEpoch"], "parts": [put]});
    page.post(&report, &counts).await;
    page.post(&complete, &size).await;
    bucket.has_exactly(&upload(&node, id).await, &file).await;
}

/// The page that the documentation shows, by a JavaScript engine that has what browsers have.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_documentation_works() {
    let bucket = Bucket::new().await;
    let node = Node::set_up(bucket.setup()).await;
    let (page, file) = (Page::on(&node), noise(3, 5 * PART_BYTES + 1));
    let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stores.md");
    let text = std::fs::read_to_string(documentation).expect("the page");
    let (_, rest) = text.split_once("```js\n").expect("a program");
    let (shown, _) = rest.split_once("```").expect("its end");
    let calls = "\nimport { readFileSync } from 'node:fs';\n\
                 const [server, id, path] = process.argv.slice(2);\n\
                 await putDirectly(server, 'nobody-asks', id, new Blob([readFileSync(path)]));\n";
    let (program, source) = (page.dir.path().join("page.mjs"), page.dir.path().join("source"));
    std::fs::write(&program, format!("{shown}{calls}")).expect("a program");
    std::fs::write(&source, &file).expect("a file");
    let mut parts = 0;
    bucket.proxy.breaks(move |call| {
        parts += u32::from(call == S3Call::Part);
        (call == S3Call::Part && parts == 3).then_some(S3Fault::Answer(StatusCode::FORBIDDEN))
    });
    let request = json!({"sizeBytes": file.len(), "preset": "none"});
    let created = page.post("/v1/uploads", &request).await;
    let id = created["upload"]["id"].as_str().expect("an id");
    tool("node", &[text_of(&program), &node.http_url(), id, text_of(&source)]).await;
    bucket.has_exactly(&upload(&node, id).await, &Bytes::from(file)).await;
}
