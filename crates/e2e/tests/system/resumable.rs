//! Resumable uploads over HTTP as the IETF's draft has them, with curl: cut off, resumed, and the same bytes in the end.

use std::{fs, path::Path, time::Duration};

use reelway::v1::{GetUploadRequest, JobState};
use serde_json::Value;

use crate::harness::{Clip, Node, Process, clip, tool, within};

/// Within this time bytes of a slow upload are durable, and a job on a short clip ends.
const SOON: Duration = Duration::from_secs(90);
/// Slow enough that a clip of some seconds takes long.
const SLOW: &str = "60k";
/// The clip of these tests.
const CLIP: Clip = Clip::short(4);

/// What a server answered to curl.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// Reads what `curl --include` wrote: the last answer, after interim ones.
    fn read(mut text: &str) -> Self {
        loop {
            let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
            let mut lines = head.lines();
            let status = lines
                .next()
                .expect("a status line")
                .split(' ')
                .nth(1)
                .expect("a status");
            let status: u16 = status.parse().expect("a number");
            if status == 100 {
                text = rest;
                continue;
            }
            assert!(status >= 200, "no other interim answer is sent: {text}");
            let fields = lines.map(|line| line.split_once(": ").expect("a header"));
            return Self {
                status,
                headers: fields
                    .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                    .collect(),
                body: rest.to_owned(),
            };
        }
    }

    /// The value of a header that must be there.
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        &found
            .unwrap_or_else(|| panic!("no {name}: {} {:?} {}", self.status, self.headers, self.body))
            .1
    }

    fn offset(&self) -> usize {
        self.header("upload-offset").parse().expect("a number")
    }
}

async fn curl(args: &[&str]) -> Answer {
    let args = [&["--silent", "--show-error", "--include", "--max-time", "60"], args].concat();
    Answer::read(&tool("curl", &args).await)
}

/// Creates an upload with the first bytes of a file, and gives its URL.
async fn create(node: &Node, first: &Path, length: usize) -> String {
    let content = format!("@{}", first.display());
    let args = [
        "--header",
        "Upload-Complete: ?0",
        "--header",
        &format!("Upload-Length: {length}"),
        "--header",
        "Content-Type: video/mp4",
        "--header",
        "Content-Disposition: inline; filename=\"holiday film.mp4\"",
        "--data-binary",
        &content,
        &format!("{}/uploads?preset=fast", node.http_url()),
    ];
    let created = curl(&args).await;
    assert_eq!(created.status, 201, "{}", created.body);
    created.header("location").to_owned()
}

/// The arguments that append a file.
fn append(offset: usize, complete: &str, file: &Path, url: &str) -> Vec<String> {
    let content = format!("@{}", file.display());
    [
        "--request",
        "PATCH",
        "--header",
        "Content-Type: application/partial-upload",
        "--header",
        &format!("Upload-Offset: {offset}"),
        "--header",
        &format!("Upload-Complete: {complete}"),
        "--data-binary",
        &content,
        url,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Appends what is missing and gives the final answer.
async fn finish(node: &Node, bytes: &[u8], offset: usize, url: &str) -> Answer {
    let rest = node.dir().join("rest");
    fs::write(&rest, &bytes[offset..]).expect("a file");
    let args = append(offset, "?1", &rest, url);
    curl(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_resumes_what_was_cut_off() {
    let node = Node::start().await;
    let path = clip(CLIP).await;
    let bytes = fs::read(&path).expect("the clip");
    let none = node.dir().join("none");
    fs::write(&none, b"").expect("a file");
    let url = create(&node, &none, bytes.len()).await;
    let upload_id = url.rsplit('/').next().expect("an id").to_owned();

    let mut slow = Process::spawn({
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["--silent", "--limit-rate", SLOW])
            .args(append(0, "?1", &path, &url));
        command
    });
    within(SOON, "durable bytes", async || {
        let request = GetUploadRequest {
            upload_id: upload_id.clone(),
            end_writer: false,
        };
        let upload = node.client().get_upload(request).await.expect("the upload");
        (upload.durable_offset > 0).then_some(())
    })
    .await;
    slow.kill9().await;

    let told = curl(&["--head", &url]).await;
    assert_eq!((told.status, told.header("upload-complete")), (204, "?0"));
    assert_eq!(told.header("upload-length"), bytes.len().to_string());
    let offset = told.offset();
    assert!(0 < offset && offset < bytes.len(), "{offset} of {}", bytes.len());

    let done = finish(&node, &bytes, offset, &url).await;
    assert_eq!(
        (done.status, done.header("upload-complete")),
        (201, "?1"),
        "{}",
        done.body
    );
    let upload: Value = serde_json::from_str(&done.body).expect("the upload");
    assert_eq!(upload["fileName"], "holiday film.mp4");
    assert!(node.stored(&upload_id) == bytes, "other bytes came than were sent");
    let job = node.job_ended(upload["jobId"].as_str().expect("a job"), SOON).await;
    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_the_server() {
    let mut node = Node::start().await;
    let bytes = fs::read(clip(CLIP).await).expect("the clip");
    let first = node.dir().join("first");
    fs::write(&first, &bytes[..bytes.len() / 2]).expect("a file");
    let url = create(&node, &first, bytes.len()).await;
    node.kill9().await;
    node.restart().await;
    let offset = curl(&["--head", &url]).await.offset();
    assert_eq!(offset, bytes.len() / 2, "what was acknowledged is there");
    let done = finish(&node, &bytes, offset, &url).await;
    assert_eq!(
        (done.status, done.header("upload-complete")),
        (201, "?1"),
        "{}",
        done.body
    );
    assert!(
        node.stored(url.rsplit('/').next().expect("an id")) == bytes,
        "other bytes came than were sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_uploads_a_file_in_one_request() {
    let node = Node::start().await;
    let path = clip(CLIP).await;
    let bytes = fs::read(&path).expect("the clip");
    let (file, url) = (
        path.to_str().expect("text"),
        format!("{}/uploads?preset=none", node.http_url()),
    );
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let done = curl(&[version, "--upload-file", file, "--header", "Upload-Complete: ?1", &url]).await;
        assert_eq!(
            (done.status, done.offset()),
            (201, bytes.len()),
            "{version}: {}",
            done.body
        );
        let upload_id = done.header("location").rsplit('/').next().expect("an id");
        assert!(node.stored(upload_id) == bytes, "other bytes came than were sent");
    }
}
