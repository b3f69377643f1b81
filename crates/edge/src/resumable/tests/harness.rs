//! What a client of the draft says, and what it reads in answers.

use reelway::v1;

pub(super) use crate::testing::{
    At, Node, Setup, content, on_both, until,
    wire::{Answer, Wire},
};

/// What an append must say of its media type.
pub(super) const PARTIAL: &str = "Content-Type: application/partial-upload";

/// What the draft says in answers.
pub(super) trait Told {
    /// The value of a header that must be there.
    fn value(&self, name: &str) -> &str;

    /// Status, `Upload-Complete` and `Upload-Offset`.
    fn standing(&self) -> (u16, &str, i64);

    /// The end of the problem's type.
    fn problem(&self) -> String;
}

impl Told for Answer {
    fn value(&self, name: &str) -> &str {
        self.header(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?} {}", String::from_utf8_lossy(&self.body)))
    }

    fn standing(&self) -> (u16, &str, i64) {
        (
            self.status,
            self.value("upload-complete"),
            self.value("upload-offset").parse().unwrap(),
        )
    }

    fn problem(&self) -> String {
        assert_eq!(self.value("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status, "{document}");
        let kind = document["type"].as_str().unwrap();
        kind.strip_prefix("https://iana.org/assignments/http-problem-types#")
            .unwrap_or(kind)
            .to_owned()
    }
}

/// Headers as their names and values. Each is given as a line.
fn pairs<'a>(lines: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    lines.iter().map(|line| line.split_once(": ").unwrap()).collect()
}

/// One request with its content on a connection of its own.
pub(super) async fn call(node: &Node, method: &str, path: &str, headers: &[&str], content: &[u8]) -> Answer {
    node.send(method, path, &pairs(headers), content).await
}

/// The same in chunks, so that only the end tells how long it is.
pub(super) async fn call_chunked(node: &Node, method: &str, path: &str, headers: &[&str], chunks: &[&[u8]]) -> Answer {
    let mut wire = begun(node, method, path, &[headers, &["Transfer-Encoding: chunked"]].concat()).await;
    for chunk in chunks {
        wire.chunk(chunk).await;
    }
    wire.chunk(b"").await;
    wire.answer(method).await
}

/// A connection on which the head of a request was sent.
pub(super) async fn begun(node: &Node, method: &str, path: &str, headers: &[&str]) -> Wire {
    let mut wire = Wire::connect(node.address).await;
    wire.head(method, path, &pairs(headers)).await;
    wire
}

/// An upload of this length that has nothing yet; its path.
pub(super) async fn created(node: &Node, length: usize) -> String {
    let length = format!("Upload-Length: {length}");
    let answer = call(node, "POST", "/uploads", &["Upload-Complete: ?0", &length], b"").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.location()
}

/// An upload of unknown length; its path.
pub(super) async fn created_open(node: &Node) -> String {
    let answer = call(node, "POST", "/uploads", &["Upload-Complete: ?0"], b"").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.location()
}

/// What an append says, and something more.
pub(super) fn append_headers(offset: usize, complete: &str, more: &str) -> Vec<&'static str> {
    let lines = [
        format!("Upload-Offset: {offset}"),
        format!("Upload-Complete: {complete}"),
        more.to_owned(),
    ];
    // Tests are short.
    let lines = lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .map(|line| &*line.leak());
    std::iter::once(PARTIAL).chain(lines).collect()
}

/// Appends.
pub(super) async fn append(node: &Node, path: &str, offset: usize, complete: &str, content: &[u8]) -> Answer {
    call(node, "PATCH", path, &append_headers(offset, complete, ""), content).await
}

/// Asks where an upload stands.
pub(super) async fn head(node: &Node, path: &str) -> Answer {
    call(node, "HEAD", path, &[], b"").await
}

/// The upload's id.
pub(super) fn id(path: &str) -> &str {
    path.strip_prefix("/uploads/").unwrap()
}

/// All uploads that were created, the newest first.
pub(super) async fn uploads(node: &Node) -> Vec<v1::Upload> {
    let request = v1::ListUploadsRequest::default();
    node.upstream
        .uploads()
        .list_uploads(request)
        .await
        .unwrap()
        .into_inner()
        .uploads
}

/// How much of the newest upload is durable, without ending who writes it.
pub(super) async fn durable(node: &Node) -> i64 {
    uploads(node).await.first().map_or(0, |upload| upload.durable_offset)
}
