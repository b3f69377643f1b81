//! Each row of the protocol that says MUST or SHOULD, and what real clients rely on, over a real node. Tests are named after the
//! rows: C for the core, CR for creation, CW for creation-with-upload, DL for creation-defer-length, EX for expiration, CS for
//! checksum, TM for termination, CC for concatenation.

mod checksum;
mod concatenation;
mod core;
mod creation;
mod cuts;
mod deferred;
mod expiration;
mod http2;
mod ids;
mod takeover;
mod termination;
mod with_upload;

use crate::testing::{At, Node, on_both, wire::Answer};

const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");
const OCTETS: (&str, &str) = ("Content-Type", "application/offset+octet-stream");
/// `preset none`: nothing is made of the file.
const NO_JOB: (&str, &str) = ("Upload-Metadata", "preset bm9uZQ==");

/// A request of a tus client.
async fn send(node: &Node, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let answer = node.send(method, path, &[&[TUS], headers].concat(), body).await;
    assert_eq!(answer.header("tus-resumable"), Some("1.0.0"), "C1: {answer:?}");
    answer
}

async fn post(node: &Node, headers: &[(&str, &str)]) -> Answer {
    send(node, "POST", "/files/", headers, b"").await
}

/// Creates an upload of so many bytes; gives its path.
async fn created(node: &Node, length: usize) -> String {
    let answer = post(node, &[("Upload-Length", &length.to_string()), NO_JOB]).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.location()
}

async fn head(node: &Node, path: &str) -> Answer {
    send(node, "HEAD", path, &[], b"").await
}

/// Where HEAD says that the upload stands.
async fn offset(node: &Node, path: &str) -> usize {
    let answer = head(node, path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("upload-offset").expect("an offset").parse().unwrap()
}

async fn patch(node: &Node, path: &str, offset: usize, body: &[u8]) -> Answer {
    patch_with(node, path, offset, &[], body).await
}

async fn patch_with(node: &Node, path: &str, offset: usize, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let offset = offset.to_string();
    let headers = [&[OCTETS, ("Upload-Offset", &offset)], headers].concat();
    send(node, "PATCH", path, &headers, body).await
}

/// Appends bytes that are taken.
async fn appended(node: &Node, path: &str, at: usize, body: &[u8]) {
    let answer = patch(node, path, at, body).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(
        answer.header("upload-offset"),
        Some((at + body.len()).to_string().as_str())
    );
}

/// The upload's id, from its path.
fn id(path: &str) -> &str {
    path.strip_prefix("/files/").expect("a path of an upload")
}
