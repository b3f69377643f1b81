//! concatenation and concatenation-unfinished.

use reelway_domain::{UploadId, UploadState};

use super::*;
use crate::testing::{content, until};

on_both!(
    cc1_cc2_cc5_cc6_parts_become_one,
    cc3_a_final_upload_has_no_length_of_its_own,
    cc4_a_final_upload_is_not_written,
    cc7_cc13_an_unfinished_final_upload_has_no_offset,
    cc8_a_final_upload_has_its_own_metadata_only,
    cc9_a_part_may_be_used_again,
    cc10_parts_start_nothing,
    cc11_other_uploads_are_no_parts,
    a_part_in_use_is_not_deleted,
);

const PARTIAL: (&str, &str) = ("Upload-Concat", "partial");

async fn partial(node: &Node, length: usize) -> String {
    let answer = post(node, &[("Upload-Length", &length.to_string()), PARTIAL]).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.location()
}

/// Joins parts; gives what Upload-Concat said, and the answer.
async fn joined(node: &Node, parts: &[&str], headers: &[(&str, &str)]) -> (String, Answer) {
    let told = format!("final;{}", parts.join(" "));
    let answer = post(node, &[&[("Upload-Concat", told.as_str())], headers].concat()).await;
    (told, answer)
}

async fn is_complete(node: &Node, path: &str) -> bool {
    node.upload(id(path)).await.state == UploadState::Complete
}

async fn cc1_cc2_cc5_cc6_parts_become_one(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(500_000);
    let (a, b) = (partial(&node, 200_000).await, partial(&node, 300_000).await);
    appended(&node, &b, 0, &whole[200_000..]).await;
    appended(&node, &a, 0, &whole[..200_000]).await;
    let answer = head(&node, &a).await;
    assert_eq!(
        (answer.header("upload-concat"), answer.header("upload-offset")),
        (Some("partial"), Some("200000"))
    );
    let absolute = node.url(&b);
    let (told, answer) = joined(&node, &[&a, &absolute], &[NO_JOB]).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let path = answer.location();
    until(async || is_complete(&node, &path).await).await;
    let answer = head(&node, &path).await;
    assert_eq!(
        answer.header("upload-concat"),
        Some(told.as_str()),
        "exactly as received"
    );
    assert_eq!(
        (answer.header("upload-length"), answer.header("upload-offset")),
        (Some("500000"), Some("500000"))
    );
    assert_eq!(node.stored(id(&path)).await, whole);
}

async fn cc3_a_final_upload_has_no_length_of_its_own(at: At) {
    let node = Node::start_at(at).await;
    let a = partial(&node, 3).await;
    appended(&node, &a, 0, b"abc").await;
    for length in [("Upload-Length", "3"), ("Upload-Defer-Length", "1")] {
        let (_, answer) = joined(&node, &[&a], &[length]).await;
        assert_eq!((answer.status, answer.header("location")), (400, None));
    }
}

async fn cc4_a_final_upload_is_not_written(at: At) {
    let node = Node::start_at(at).await;
    let (a, b) = (partial(&node, 3).await, partial(&node, 3).await);
    appended(&node, &a, 0, b"abc").await;
    let (_, answer) = joined(&node, &[&a, &b], &[NO_JOB]).await;
    let path = answer.location();
    for at in [0, 3] {
        assert_eq!(patch(&node, &path, at, b"xyz").await.status, 403);
    }
    appended(&node, &b, 0, b"def").await;
    until(async || is_complete(&node, &path).await).await;
    for at in [0, 6] {
        assert_eq!(
            patch(&node, &path, at, b"").await.status,
            403,
            "also when it is complete"
        );
    }
    assert_eq!(node.stored(id(&path)).await, b"abcdef");
    let headers = [OCTETS, ("Upload-Concat", &format!("final;{a}"))];
    assert_eq!(
        send(&node, "POST", "/files/", &headers, b"xyz").await.status,
        403,
        "nor created with bytes"
    );
}

async fn cc7_cc13_an_unfinished_final_upload_has_no_offset(at: At) {
    let node = Node::start_at(at).await;
    let a = partial(&node, 3).await;
    let answer = post(&node, &[("Upload-Defer-Length", "1"), PARTIAL]).await;
    let b = answer.location();
    let (told, answer) = joined(&node, &[&a, &b], &[NO_JOB]).await;
    assert_eq!(answer.status, 201);
    let path = answer.location();
    let answer = head(&node, &path).await;
    assert_eq!((answer.status, answer.header("upload-offset")), (200, None));
    assert_eq!(
        (answer.header("upload-length"), answer.header("upload-concat")),
        (None, Some(told.as_str()))
    );
    appended(&node, &a, 0, b"abc").await;
    assert_eq!(
        patch_with(&node, &b, 0, &[("Upload-Length", "4")], b"de").await.status,
        204
    );
    until(async || head(&node, &path).await.header("upload-length") == Some("7")).await;
    assert_eq!(head(&node, &path).await.header("upload-offset"), None);
    appended(&node, &b, 2, b"fg").await;
    until(async || is_complete(&node, &path).await).await;
    assert_eq!(offset(&node, &path).await, 7);
    assert_eq!(node.stored(id(&path)).await, b"abcdefg");
}

async fn cc8_a_final_upload_has_its_own_metadata_only(at: At) {
    let node = Node::start_at(at).await;
    let named = ("Upload-Metadata", "filename cGFydA==,preset ZmFzdA==");
    let answer = post(&node, &[("Upload-Length", "3"), PARTIAL, named]).await;
    assert_eq!(answer.status, 201);
    let a = answer.location();
    appended(&node, &a, 0, b"abc").await;
    assert_eq!(head(&node, &a).await.header("upload-metadata"), Some(named.1));
    let (_, answer) = joined(&node, &[&a], &[]).await;
    assert_eq!(head(&node, &answer.location()).await.header("upload-metadata"), None);
    assert_eq!(node.upload(&answer.id()).await.file_name, "");
    let other = ("Upload-Metadata", "filename d2hvbGU=");
    let (_, answer) = joined(&node, &[&a], &[other]).await;
    assert_eq!(
        head(&node, &answer.location()).await.header("upload-metadata"),
        Some(other.1)
    );
    assert_eq!(node.upload(&answer.id()).await.file_name, "whole");
}

async fn cc9_a_part_may_be_used_again(at: At) {
    let node = Node::start_at(at).await;
    let a = partial(&node, 3).await;
    appended(&node, &a, 0, b"abc").await;
    for (parts, expected) in [(&[&*a, &*a][..], &b"abcabc"[..]), (&[&*a], b"abc")] {
        let (_, answer) = joined(&node, parts, &[NO_JOB]).await;
        assert_eq!(answer.status, 201);
        until(async || is_complete(&node, &answer.location()).await).await;
        assert_eq!(node.stored(&answer.id()).await, expected);
    }
}

async fn cc10_parts_start_nothing(at: At) {
    let node = Node::start_at(at).await;
    let a = partial(&node, 3).await;
    appended(&node, &a, 0, b"abc").await;
    assert_eq!(node.upload(id(&a)).await.job, None);
    let (_, answer) = joined(&node, &[&a], &[]).await;
    assert!(node.upload(&answer.id()).await.job.is_some(), "the whole does");
}

async fn cc11_other_uploads_are_no_parts(at: At) {
    let node = Node::start_at(at).await;
    let (a, whole) = (partial(&node, 3).await, created(&node, 3).await);
    let unknown = format!("/files/{}", UploadId::new());
    let foreign = format!("http://evil.example{a}");
    for wrong in [whole.as_str(), &unknown, &foreign, "/files/", "garbage", "http://["] {
        let (_, answer) = joined(&node, &[&a, wrong], &[]).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{wrong}");
    }
    assert_eq!(post(&node, &[("Upload-Concat", "final;")]).await.status, 400);
    assert_eq!(
        post(&node, &[("Upload-Concat", "whole"), ("Upload-Length", "3")])
            .await
            .status,
        400
    );
}

async fn a_part_in_use_is_not_deleted(at: At) {
    let node = Node::start_at(at).await;
    let (a, b) = (partial(&node, 3).await, partial(&node, 3).await);
    appended(&node, &a, 0, b"abc").await;
    let (_, answer) = joined(&node, &[&a, &b], &[NO_JOB]).await;
    let locked = send(&node, "DELETE", &a, &[], b"").await;
    assert_eq!((locked.status, locked.header("retry-after")), (423, Some("1")));
    appended(&node, &b, 0, b"def").await;
    until(async || is_complete(&node, &answer.location()).await).await;
    assert_eq!(send(&node, "DELETE", &a, &[], b"").await.status, 204);
    assert_eq!(node.stored(&answer.id()).await, b"abcdef");
}
