//! The JSON API as scripts use it: with curl, and nothing of ours on the client's side.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Clip, Node, Tool, clip, get_ok, tool, within};

/// A short clip is done long before.
const JOB_MAX: Duration = Duration::from_secs(120);

/// What curl heard.
#[derive(Debug)]
struct Heard {
    status: u16,
    head: String,
    body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The reason of a problem with this status.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(
            (&problem["status"], &problem["domain"]),
            (&json!(status), &json!("reelway.dev"))
        );
        problem["reason"].as_str().expect("a reason").to_owned()
    }

    /// The document of a success.
    fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        self.json()
    }
}

/// Asks with curl.
async fn curl(node: &Node, path: &str, args: &[&str]) -> Heard {
    let url = format!("{}{path}", node.http_url());
    let said = tool("curl", &[&["-sS", "-i", "-H", "Expect:"], args, &[&url]].concat()).await;
    let (head, body) = said.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    Heard {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

async fn post(node: &Node, path: &str, body: &Value) -> Heard {
    let args = [
        "-H",
        "Content-Type: application/json",
        "--data-binary",
        &body.to_string(),
    ];
    curl(node, path, &args).await
}

/// Sends the bytes of a file by tus.
async fn send(node: &Node, upload_id: &str, file: &Path) {
    let data = format!("@{}", file.display());
    let args = [
        ["-X", "PATCH"],
        ["-H", "Tus-Resumable: 1.0.0"],
        ["-H", "Upload-Offset: 0"],
        ["-H", "Content-Type: application/offset+octet-stream"],
        ["--data-binary", &data],
    ];
    let heard = curl(node, &format!("/files/{upload_id}"), args.as_flattened()).await;
    assert_eq!(heard.status, 204, "{heard:?}");
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_uploads_polls_and_cleans_up() {
    let node = Node::start().await;
    let file = clip(Clip::short(4)).await;
    let bytes = file.metadata().expect("a file").len();
    let request = json!({"sizeBytes": bytes, "fileName": "clip.mp4", "preset": "fast", "metadata": {"by": "curl"}});
    let created = post(&node, "/v1/uploads", &request).await.ok();
    let (upload_id, job_id) = (text(&created, "/upload/id"), text(&created, "/upload/jobId"));
    assert_eq!(created["upload"]["sizeBytes"], bytes.to_string());
    assert_eq!(created["upload"]["durableOffset"], "0");
    assert_eq!(created["upload"]["metadata"], json!({"by": "curl"}));
    send(&node, upload_id, &file).await;

    let progress = format!("/v1/jobs/{job_id}/progress");
    let mut known = String::from("\"none\"");
    let job = within(JOB_MAX, "the job's end", async || {
        let heard = curl(&node, &progress, &["-H", &format!("If-None-Match: {known}")]).await;
        let tag = heard.header("etag").expect("a tag").to_owned();
        assert_eq!(heard.header("cache-control"), Some("private, no-cache"));
        if heard.status == 304 {
            assert_eq!((tag.as_str(), heard.body.as_str()), (known.as_str(), ""));
            return None;
        }
        assert_ne!(tag, known, "what hasn't changed isn't sent");
        known = tag;
        let job = heard.ok()["progress"]["job"].clone();
        let is_over = !matches!(text(&job, "/state"), "JOB_STATE_QUEUED" | "JOB_STATE_RUNNING");
        is_over.then_some(job)
    })
    .await;
    assert_eq!(job["state"], "JOB_STATE_SUCCEEDED", "{job}");
    get_ok(text(&job, "/playbackUrl")).await;

    let listed = curl(&node, "/v1/uploads?page_size=1&state=UPLOAD_STATE_COMPLETE", &[])
        .await
        .ok();
    assert_eq!(listed["uploads"][0]["id"], upload_id);
    let listed = curl(
        &node,
        &format!("/v1/jobs?uploadId={upload_id}&state=JOB_STATE_SUCCEEDED"),
        &[],
    )
    .await
    .ok();
    assert_eq!(
        (&listed["jobs"][0]["id"], &listed["nextPageToken"]),
        (&json!(job_id), &json!(""))
    );
    let tasks = curl(&node, &format!("/v1/jobs/{job_id}/tasks"), &[]).await.ok();
    assert_eq!(tasks["tasks"][0]["kind"], "TASK_KIND_PROBE");
    let upload = curl(&node, &format!("/v1/uploads/{upload_id}/progress"), &[])
        .await
        .ok();
    assert_eq!(upload["progress"]["upload"]["state"], "UPLOAD_STATE_COMPLETE");

    let job = format!("/v1/jobs/{job_id}");
    assert_eq!(curl(&node, &job, &["-X", "DELETE"]).await.ok(), json!({}));
    assert_eq!(curl(&node, &job, &[]).await.problem(404), "JOB_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_cancels_retries_completes_and_aborts() {
    let node = Node::start().await;
    let request = json!({"request_id": "0b5f3bd8-2d5c-4c1a-9f3d-3f5d0c8a7e11", "fileName": "a.mp4"});
    let created = post(&node, "/v1/uploads", &request).await.ok();
    let again = post(&node, "/v1/uploads", &request).await.ok();
    assert_eq!(
        created["upload"]["id"], again["upload"]["id"],
        "a retry gets the first answer"
    );
    let reused = json!({"requestId": request["request_id"], "fileName": "b.mp4"});
    assert_eq!(
        post(&node, "/v1/uploads", &reused).await.problem(409),
        "REQUEST_ID_REUSED"
    );

    let job = format!("/v1/jobs/{}", text(&created, "/upload/jobId"));
    // Such calls need no body.
    let cancelled = curl(&node, &format!("{job}/cancel"), &["-X", "POST"]).await.ok();
    assert_eq!(cancelled["job"]["state"], "JOB_STATE_CANCELLED");
    let retried = post(&node, &format!("{job}/retry"), &json!({})).await.ok();
    assert_eq!(retried["job"]["state"], "JOB_STATE_QUEUED");
    assert_eq!(
        post(&node, &format!("{job}/retry"), &json!({})).await.problem(409),
        "JOB_STATE_CONFLICT"
    );
    let rungs = json!([{"shortSidePixels": 240, "bitrateMax": "300000"}]);
    let request =
        json!({"uploadId": text(&created, "/upload/id"), "ladder": {"rungs": rungs, "speed": "ENCODER_SPEED_FAST"}});
    let second = post(&node, "/v1/jobs", &request).await.ok();
    assert_eq!(second["job"]["ladder"]["rungs"], rungs);
    assert_eq!(second["job"]["preset"], "");

    let upload = format!("/v1/uploads/{}", text(&created, "/upload/id"));
    let aborted = curl(&node, &upload, &["-X", "DELETE"]).await.ok();
    assert_eq!(aborted["upload"]["state"], "UPLOAD_STATE_ABORTED");
    let kept = curl(&node, &upload, &[]).await.ok();
    assert_eq!(kept["upload"]["state"], "UPLOAD_STATE_ABORTED");

    let created = post(&node, "/v1/uploads", &json!({"preset": "none"})).await.ok();
    assert!(created["upload"].get("sizeBytes").is_none(), "not known yet");
    let upload_id = text(&created, "/upload/id");
    let file = node.dir().join("note");
    std::fs::write(&file, "hello").expect("a file");
    send(&node, upload_id, &file).await;
    let complete = format!("/v1/uploads/{upload_id}/complete");
    assert_eq!(
        post(&node, &complete, &json!({"sizeBytes": "9"})).await.problem(409),
        "SIZE_MISMATCH"
    );
    let completed = post(&node, &complete, &json!({"sizeBytes": "5"})).await.ok();
    assert_eq!(completed["upload"]["state"], "UPLOAD_STATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_told_what_is_wrong() {
    let node = Node::start().await;
    let missing = "upl_00000000000000000000000000000000";
    assert_eq!(
        curl(&node, &format!("/v1/uploads/{missing}"), &[]).await.problem(404),
        "UPLOAD_NOT_FOUND"
    );
    assert_eq!(
        curl(&node, "/v1/uploads/..%2F..%2Fetc", &[]).await.problem(400),
        "FIELD_INVALID"
    );
    assert_eq!(curl(&node, "/v1/films", &[]).await.problem(404), "PATH_UNKNOWN");
    let refused = curl(&node, "/v1/uploads", &["-X", "PUT"]).await;
    assert_eq!(refused.problem(405), "METHOD_NOT_ALLOWED");
    assert_eq!(refused.header("allow"), Some("POST, GET, HEAD"));

    let form = curl(&node, "/v1/uploads", &["-d", "{}"]).await;
    assert_eq!(form.problem(415), "CONTENT_TYPE_UNSUPPORTED");
    let broken = ["-H", "Content-Type: application/json", "-d", "{\"sizeBytes\": }"];
    let broken = curl(&node, "/v1/uploads", &broken).await;
    assert_eq!(broken.problem(400), "BODY_MALFORMED");
    assert_eq!(broken.json()["metadata"], json!({"line": "1", "column": "15"}));
    let long = json!({"fileName": "x".repeat(300 << 10)}).to_string();
    let file = node.dir().join("long.json");
    std::fs::write(&file, long).expect("a file");
    let data = format!("@{}", file.display());
    let long = curl(
        &node,
        "/v1/uploads",
        &["-H", "Content-Type: application/json", "--data-binary", &data],
    )
    .await;
    assert_eq!(long.problem(413), "BODY_TOO_LARGE");

    // What the edge and what the service finds wrong look the same.
    let wrong = post(
        &node,
        "/v1/jobs",
        &json!({"uploadId": missing, "ladder": {"rungs": [{"short": 1}], "crf": "high"}}),
    )
    .await;
    assert_eq!(wrong.problem(400), "FIELD_INVALID");
    let fields = |heard: &Heard| {
        let violations = heard.json()["violations"].as_array().expect("violations").clone();
        let mut fields: Vec<_> = violations
            .iter()
            .map(|violation| text(violation, "/field").to_owned())
            .collect();
        fields.sort();
        fields
    };
    assert_eq!(fields(&wrong), ["ladder.crf", "ladder.rungs[0].short"]);
    let wrong = post(
        &node,
        "/v1/jobs",
        &json!({"uploadId": missing, "ladder": {"rungs": [{}], "crf": 99}}),
    )
    .await;
    assert_eq!(wrong.problem(400), "FIELD_INVALID");
    assert!(fields(&wrong).contains(&"ladder.crf".to_owned()), "{wrong:?}");
    let listed = curl(&node, "/v1/jobs?page_size=many&limit=1", &[]).await;
    assert_eq!(listed.problem(400), "FIELD_INVALID");
    assert_eq!(fields(&listed), ["limit", "page_size"]);
    let listed = curl(&node, "/v1/jobs?page_token=elsewhere", &[]).await;
    assert_eq!(listed.problem(400), "PAGE_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_valid_openapi() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = Tool::new("bash")
        .path(&here.join("../../scripts/lib/python-env.sh"))
        .args(["openapi", "crates/e2e/python/openapi.txt"])
        .run()
        .await;
    let node = Node::start().await;
    let (content_type, document) = get_ok(&format!("{}/v1/openapi.json", node.http_url())).await;
    assert_eq!(content_type, "application/json");
    let file = node.dir().join("openapi.json");
    std::fs::write(&file, document).expect("a file");
    let said = Tool::new(python.trim())
        .args(["-m", "openapi_spec_validator", "--schema", "3.1"])
        .path(&file)
        .run()
        .await;
    assert!(said.contains("OK"), "{said}");
}
