//! creation-defer-length.

use reelway_domain::UploadState;

use super::*;
use crate::{
    Settings,
    testing::{Setup, wire::Wire},
};

on_both!(
    dl1_dl3_the_length_may_come_later,
    dl2_dl6_only_1_and_only_one_of_both,
    dl4_dl5_the_length_is_set_once,
    a_length_is_not_set_by_a_request_that_is_refused,
    dl7_a_length_below_what_is_there_is_wrong,
    dl8_a_length_alone_completes_what_is_there,
    dl9_the_largest_size_holds_without_a_length,
);

async fn deferred(node: &Node) -> String {
    let answer = post(node, &[("Upload-Defer-Length", "1"), NO_JOB]).await;
    assert_eq!(answer.status, 201);
    answer.location()
}

async fn dl1_dl3_the_length_may_come_later(at: At) {
    let node = Node::start_at(at).await;
    let path = deferred(&node).await;
    appended(&node, &path, 0, b"abc").await;
    let answer = head(&node, &path).await;
    assert_eq!(
        (answer.header("upload-defer-length"), answer.header("upload-length")),
        (Some("1"), None)
    );
}

async fn dl2_dl6_only_1_and_only_one_of_both(at: At) {
    let node = Node::start_at(at).await;
    assert_eq!(post(&node, &[("Upload-Defer-Length", "2")]).await.status, 400);
    assert_eq!(
        post(&node, &[("Upload-Defer-Length", "1"), ("Upload-Length", "3")])
            .await
            .status,
        400
    );
}

async fn dl4_dl5_the_length_is_set_once(at: At) {
    let node = Node::start_at(at).await;
    let path = deferred(&node).await;
    appended(&node, &path, 0, b"ab").await;
    let answer = patch_with(&node, &path, 2, &[("Upload-Length", "6")], b"cd").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (204, Some("4")));
    let answer = head(&node, &path).await;
    assert_eq!(
        (answer.header("upload-length"), answer.header("upload-defer-length")),
        (Some("6"), None)
    );
    assert_eq!(
        patch_with(&node, &path, 4, &[("Upload-Length", "7")], b"ef")
            .await
            .status,
        400
    );
    assert_eq!(
        patch_with(&node, &path, 4, &[("Upload-Length", "6")], b"ef")
            .await
            .status,
        204
    );
    assert_eq!(node.upload(id(&path)).await.state, UploadState::Complete);
    assert_eq!(node.stored(id(&path)).await, b"abcdef");
}

async fn a_length_is_not_set_by_a_request_that_is_refused(at: At) {
    let node = Node::start_at(at).await;
    let path = deferred(&node).await;
    appended(&node, &path, 0, b"ab").await;
    let answer = patch_with(&node, &path, 1, &[("Upload-Length", "6")], b"cd").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (409, Some("2")));
    assert_eq!(head(&node, &path).await.header("upload-defer-length"), Some("1"));
}

async fn dl7_a_length_below_what_is_there_is_wrong(at: At) {
    let node = Node::start_at(at).await;
    let path = deferred(&node).await;
    appended(&node, &path, 0, b"abc").await;
    assert_eq!(
        patch_with(&node, &path, 3, &[("Upload-Length", "2")], b"").await.status,
        400
    );
    assert_eq!(head(&node, &path).await.header("upload-defer-length"), Some("1"));
}

async fn dl8_a_length_alone_completes_what_is_there(at: At) {
    let node = Node::start_at(at).await;
    let path = deferred(&node).await;
    appended(&node, &path, 0, b"abc").await;
    let answer = patch_with(&node, &path, 3, &[("Upload-Length", "3")], b"").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (204, Some("3")));
    assert_eq!(node.upload(id(&path)).await.state, UploadState::Complete);
    let path = deferred(&node).await;
    assert_eq!(
        patch_with(&node, &path, 0, &[("Upload-Length", "0")], b"").await.status,
        204
    );
    assert_eq!(node.upload(id(&path)).await.state, UploadState::Complete);
}

async fn dl9_the_largest_size_holds_without_a_length(at: At) {
    let edge = Settings {
        upload_bytes_max: 5,
        ..Settings::default()
    };
    let node = Node::with(Setup {
        at,
        edge,
        ..Setup::default()
    })
    .await;
    let path = deferred(&node).await;
    assert_eq!(patch(&node, &path, 0, b"abcdef").await.status, 413);
    assert_eq!(
        patch_with(&node, &path, 0, &[("Upload-Length", "6")], b"abc")
            .await
            .status,
        413
    );
    let mut wire = Wire::connect(node.address).await;
    let chunked = ("Transfer-Encoding", "chunked");
    wire.head("PATCH", &path, &[TUS, OCTETS, ("Upload-Offset", "0"), chunked])
        .await;
    for piece in [b"abcd", b"efgh"] {
        wire.chunk(piece).await;
    }
    wire.chunk(b"").await;
    assert_eq!(wire.answer("PATCH").await.status, 413);
    let at = offset(&node, &path).await;
    assert!(at <= 5, "{at}");
    appended(&node, &path, at, &b"abcde"[at..]).await;
    assert_eq!(
        patch_with(&node, &path, 5, &[("Upload-Length", "5")], b"").await.status,
        204
    );
    assert_eq!(node.stored(id(&path)).await, b"abcde");
}
