//! Tails over raw connections, on both protocols.

use super::*;
use crate::testing::{
    Node, content, until,
    wire::{Answer, Wire},
};

const SIZE: usize = 300_000;
const TAIL: usize = 200_000;
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");

/// Creates an upload of [`SIZE`] bytes by the one or the other protocol.
async fn created(node: &Node, collection: &str) -> Answer {
    let length = SIZE.to_string();
    let headers = match collection {
        "/files/" => vec![TUS, ("Upload-Length", &*length)],
        _ => vec![("Upload-Complete", "?0"), ("Upload-Length", &*length)],
    };
    let answer = node.send("POST", collection, &headers, b"").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

/// The path of the tail that the link names.
fn linked(answer: &Answer) -> String {
    let link = answer.header("link").expect("a link");
    let (address, relation) = link.split_once(">; ").expect("a relation");
    assert_eq!(relation, format!("rel=\"{RELATION}\""));
    let at = address.find("/files/").or(address.find("/uploads/")).expect("a path");
    address[at..].to_owned()
}

async fn put(node: &Node, path: &str, range: &str, body: &[u8]) -> Answer {
    node.send("PUT", path, &[("Content-Range", range)], body).await
}

#[tokio::test]
async fn a_page_finds_where_the_tail_goes_and_puts_it_there() {
    let (node, file) = (Node::start().await, content(SIZE));
    for collection in ["/files/", "/uploads/"] {
        let offered = node.send("OPTIONS", collection, &[TUS], b"").await;
        assert_eq!(offered.header("upload-tail-limit"), Some("67108864"), "{collection}");
        let path = linked(&created(&node, collection).await);
        let resource = path.strip_suffix("/tail").unwrap();
        let before = node.send("HEAD", resource, &[TUS], b"").await;
        assert_eq!(
            (linked(&before), before.header("upload-tail-offset")),
            (path.clone(), None)
        );
        for _ in 0..2 {
            let answer = put(&node, &path, "bytes 200000-299999/300000", &file[TAIL..]).await;
            assert_eq!(answer.status, 204, "{answer:?}");
            assert_eq!(answer.header("upload-tail-offset"), Some("200000"));
        }
        let head = node.send("HEAD", resource, &[TUS], b"").await;
        let told = (
            head.header("upload-tail-offset"),
            head.header("upload-offset"),
            head.header("link"),
        );
        assert_eq!(told, (Some("200000"), Some("0"), None));
        let id: UploadId = resource.rsplit('/').next().unwrap().parse().unwrap();
        let kept = node.disk().tail_path(id, reelway_domain::Offset(200_000));
        assert_eq!(std::fs::read(kept).unwrap(), file[TAIL..]);
        let another = put(&node, &path, "bytes 200001-299999/300000", &file[TAIL + 1..]).await;
        assert_eq!(
            (another.status, &another.json()["reason"]),
            (409, &"TAIL_UNUSABLE".into())
        );
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_leaves_nothing() {
    let (node, file) = (Node::start().await, content(SIZE));
    // The draft answers 400 to lengths that contradict one another, tus says nothing of them.
    for (collection, contradiction) in [("/files/", 409), ("/uploads/", 400)] {
        let path = linked(&created(&node, collection).await);
        let cases = [
            ("bytes 200000-299998/300000", TAIL, 400, "FIELD_INVALID"),
            ("bytes */300000", TAIL, 400, "FIELD_INVALID"),
            ("bytes 200001-299999/300000", TAIL, contradiction, "SIZE_MISMATCH"),
            ("bytes 200000-300000/300001", TAIL - 1, contradiction, "SIZE_MISMATCH"),
            ("bytes 0-299999/300000", 0, 400, "FIELD_INVALID"),
        ];
        for (range, from, status, reason) in cases {
            let answer = put(&node, &path, range, &file[from..]).await;
            assert_eq!(
                (answer.status, &answer.json()["reason"]),
                (status, &reason.into()),
                "{range}"
            );
        }
        let without = node.send("PUT", &path, &[], &file[TAIL..]).await;
        assert_eq!(without.status, 400);
        let elsewhere = path.replace("upl_", "upl-");
        assert_eq!(node.send("PUT", &elsewhere, &[TUS], b"ab").await.status, 404);
        assert!(matches!(node.send("GET", &path, &[TUS], b"").await.status, 404 | 405));
        // Too long is known before anything is read.
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Range: bytes 1-299999999/300000000\r\nContent-Length: 299999999\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        let mut wire = Wire::connect(node.address).await;
        wire.write(head.as_bytes()).await;
        assert_eq!(wire.answer("PUT").await.status, 413);
    }
    assert_eq!(node.disk().list_tails().await.unwrap(), []);
}

#[tokio::test]
async fn a_body_that_is_cut_is_no_tail() {
    let (node, file) = (Node::start().await, content(SIZE));
    let path = linked(&created(&node, "/files/").await);
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Range: bytes 200000-299999/300000\r\nContent-Length: 100000\r\n\r\n"
    );
    let mut wire = Wire::connect(node.address).await;
    wire.write(head.as_bytes()).await;
    wire.write(&file[TAIL..250_000]).await;
    let drafts = async || node.disk().list_tails().await.unwrap().len();
    until(async || drafts().await == 1).await;
    wire.reset();
    until(async || drafts().await == 0).await;
    let again = put(&node, &path, "bytes 200000-299999/300000", &file[TAIL..]).await;
    assert_eq!(again.status, 204, "{again:?}");
}
