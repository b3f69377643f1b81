//! The core protocol.

use super::*;
use crate::testing::{content, wire::Wire};

on_both!(
    c1_every_answer_carries_tus_resumable,
    c2_another_version_is_not_processed,
    c3_c4_c6_options_tell_what_there_is_whatever_the_version,
    c7_offsets_and_lengths_are_non_negative_integers,
    c8_the_override_is_the_method,
    c9_c10_c11_head_tells_where_the_upload_stands,
    c12_c17_what_is_unknown_has_no_offset,
    c13_bytes_need_their_media_type,
    c14_bytes_need_an_offset,
    c15_another_offset_changes_nothing,
    c16_the_offset_moves_by_what_was_stored,
    c20_a_body_past_the_end_is_refused,
    c21_nothing_more_for_a_complete_upload_is_fine,
    other_methods_are_named,
    a_connection_serves_on_after_a_refusal,
);

async fn c1_every_answer_carries_tus_resumable(at: At) {
    let node = Node::start_at(at).await;
    // `send` checks it.
    for (method, path) in [
        ("POST", "/files/"),
        ("POST", "/files"),
        ("HEAD", "/files/unknown"),
        ("PATCH", "/files/unknown"),
        ("DELETE", "/files/upl_0/1"),
        ("GET", "/files/unknown"),
        ("PUT", "/files/"),
        ("OPTIONS", "/files/"),
    ] {
        send(&node, method, path, &[], b"").await;
    }
}

async fn c2_another_version_is_not_processed(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    for headers in [&[][..], &[("Tus-Resumable", "0.2.2")], &[("Tus-Resumable", "")]] {
        for (method, path) in [
            ("POST", "/files/"),
            ("HEAD", &path),
            ("PATCH", &path),
            ("DELETE", &path),
        ] {
            let all = [headers, &[OCTETS, ("Upload-Offset", "0"), ("Upload-Length", "3")]].concat();
            let answer = node.send(method, path, &all, b"").await;
            assert_eq!(
                (answer.status, answer.header("tus-version")),
                (412, Some("1.0.0")),
                "{method} {headers:?}"
            );
            assert_eq!(
                (answer.header("tus-resumable"), answer.header("location")),
                (Some("1.0.0"), None)
            );
        }
    }
    assert_eq!(offset(&node, &path).await, 0, "not deleted");
}

async fn c3_c4_c6_options_tell_what_there_is_whatever_the_version(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    for path in ["/files", "/files/", &path] {
        for headers in [&[][..], &[TUS], &[("Tus-Resumable", "9.9")]] {
            let answer = node.send("OPTIONS", path, headers, b"").await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("tus-version"), Some("1.0.0"));
            assert_eq!(answer.header("tus-max-size"), Some((5_i64 << 40).to_string().as_str()));
        }
    }
}

async fn c7_offsets_and_lengths_are_non_negative_integers(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    for wrong in ["-1", "+1", "1.5", "abc", "18446744073709551616", ""] {
        let answer = post(&node, &[("Upload-Length", wrong)]).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(
            answer.json()["violations"][0]["field"],
            "upload-length",
            "the header is named"
        );
        let answer = send(&node, "PATCH", &path, &[OCTETS, ("Upload-Offset", wrong)], b"abc").await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(offset(&node, &path).await, 0);
}

async fn c8_the_override_is_the_method(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 6).await;
    let as_if = |method| ("X-HTTP-Method-Override", method);
    let append = [OCTETS, ("Upload-Offset", "0"), as_if("PATCH")];
    assert_eq!(send(&node, "POST", &path, &append, b"abc").await.status, 204);
    let answer = send(&node, "GET", &path, &[as_if("HEAD")], b"").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (200, Some("3")));
    let append = [OCTETS, ("Upload-Offset", "3"), as_if("PATCH")];
    assert_eq!(
        send(&node, "DELETE", &path, &append, b"def").await.status,
        204,
        "the actual method is ignored"
    );
    assert_eq!(offset(&node, &path).await, 6);
    assert_eq!(send(&node, "POST", &path, &[as_if("DELETE")], b"").await.status, 204);
    assert_eq!(head(&node, &path).await.status, 410);
}

async fn c9_c10_c11_head_tells_where_the_upload_stands(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 6).await;
    for (before, after) in [(0, "0"), (3, "3"), (6, "6")] {
        if before > 0 {
            appended(&node, &path, before - 3, b"abc").await;
        }
        let answer = head(&node, &path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            (answer.header("upload-offset"), answer.header("upload-length")),
            (Some(after), Some("6"))
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

async fn c12_c17_what_is_unknown_has_no_offset(at: At) {
    let node = Node::start_at(at).await;
    let unknown = format!("/files/{}", reelway_domain::UploadId::new());
    let answer = head(&node, &unknown).await;
    assert_eq!((answer.status, answer.header("upload-offset")), (404, None));
    assert_eq!(patch(&node, &unknown, 0, b"abc").await.status, 404);
}

async fn c13_bytes_need_their_media_type(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    for headers in [
        &[("Upload-Offset", "0")][..],
        &[("Upload-Offset", "0"), ("Content-Type", "application/octet-stream")],
    ] {
        assert_eq!(send(&node, "PATCH", &path, headers, b"abc").await.status, 415);
    }
    assert_eq!(offset(&node, &path).await, 0);
}

async fn c14_bytes_need_an_offset(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    let answer = send(&node, "PATCH", &path, &[OCTETS], b"abc").await;
    assert_eq!((answer.status, offset(&node, &path).await), (400, 0));
}

async fn c15_another_offset_changes_nothing(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 9).await;
    appended(&node, &path, 0, b"abcd").await;
    for wrong in [0, 3, 5, 9, 1 << 40] {
        let answer = patch(&node, &path, wrong, b"xyz").await;
        assert_eq!(
            (answer.status, answer.header("upload-offset")),
            (409, Some("4")),
            "at {wrong}"
        );
    }
    appended(&node, &path, 4, b"efghi").await;
    let answer = patch(&node, &path, 4, b"").await;
    assert_eq!(
        (answer.status, answer.header("upload-offset")),
        (409, Some("9")),
        "complete"
    );
    assert_eq!(node.stored(id(&path)).await, b"abcdefghi");
}

async fn c16_the_offset_moves_by_what_was_stored(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(3 << 20);
    let path = created(&node, whole.len()).await;
    let mut at = 0;
    for length in [1, 0, 70_000, 1 << 20, whole.len()] {
        let length = length.min(whole.len() - at);
        appended(&node, &path, at, &whole[at..at + length]).await;
        at += length;
    }
    assert_eq!(node.stored(id(&path)).await, whole);
}

async fn c20_a_body_past_the_end_is_refused(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 5).await;
    appended(&node, &path, 0, b"a").await;
    assert_eq!(patch(&node, &path, 1, b"bcdef").await.status, 413, "announced");
    assert_eq!(offset(&node, &path).await, 1);
    for pieces in [
        &[&b"bcdef"[..]][..],
        &[b"bcde", b"f"],
        &[b"bc", b"de", b"f"],
        &[b"b", b"cdefghi"],
    ] {
        let at = offset(&node, &path).await.to_string();
        let mut wire = Wire::connect(node.address).await;
        let headers = [TUS, OCTETS, ("Upload-Offset", &at), ("Transfer-Encoding", "chunked")];
        wire.head("PATCH", &path, &headers).await;
        let mut skip = at.parse::<usize>().unwrap() - 1;
        for piece in pieces {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            if skipped < piece.len() {
                wire.chunk(&piece[skipped..]).await;
            }
        }
        wire.chunk(b"").await;
        assert_eq!(wire.answer("PATCH").await.status, 413, "{pieces:?}");
        let answer = head(&node, &path).await;
        assert!(
            answer.header("upload-offset").unwrap().parse::<usize>().unwrap() < 5,
            "{pieces:?} completed it"
        );
    }
    let at = offset(&node, &path).await;
    appended(&node, &path, at, &b"abcde"[at..]).await;
    assert_eq!(node.stored(id(&path)).await, b"abcde");
    assert_eq!(patch(&node, &path, 5, b"f").await.status, 413, "complete");
}

async fn c21_nothing_more_for_a_complete_upload_is_fine(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    appended(&node, &path, 0, b"abc").await;
    appended(&node, &path, 3, b"").await;
    assert_eq!(offset(&node, &path).await, 3);
}

async fn other_methods_are_named(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    let answer = send(&node, "GET", &path, &[], b"").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("HEAD, PATCH, DELETE, OPTIONS"))
    );
    let answer = send(&node, "DELETE", "/files/", &[], b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, OPTIONS")));
}

async fn a_connection_serves_on_after_a_refusal(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    let mut wire = Wire::connect(node.address).await;
    wire.request("PATCH", &path, &[TUS, OCTETS, ("Upload-Offset", "1")], b"abc")
        .await;
    assert_eq!(wire.answer("PATCH").await.status, 409);
    wire.request("PATCH", &path, &[TUS, OCTETS, ("Upload-Offset", "0")], b"abc")
        .await;
    assert_eq!(wire.answer("PATCH").await.status, 204);
}
