//! creation-with-upload.

use super::*;
use crate::testing::{content, until, wire::Wire};

on_both!(
    cw1_cw2_an_upload_is_created_with_bytes,
    cw3_bytes_of_another_type_are_refused,
    cw4_what_arrived_before_a_cut_is_kept,
    cw5_who_waits_for_100_gets_it_or_the_refusal,
    cw6_the_checksum_counts_here_too,
);

async fn cw1_cw2_an_upload_is_created_with_bytes(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(300_000);
    for first in [whole.len(), 1000] {
        let headers = [("Upload-Length", "300000"), OCTETS, NO_JOB];
        let answer = send(&node, "POST", "/files/", &headers, &whole[..first]).await;
        assert_eq!(
            (answer.status, answer.header("upload-offset")),
            (201, Some(first.to_string().as_str()))
        );
        let path = answer.location();
        assert_eq!(offset(&node, &path).await, first);
        appended(&node, &path, first, &whole[first..]).await;
        assert_eq!(node.stored(id(&path)).await, whole);
    }
    let answer = post(&node, &[("Upload-Length", "3"), OCTETS]).await;
    assert_eq!(
        (answer.status, answer.header("upload-offset")),
        (201, Some("0")),
        "no bytes are fine"
    );
}

async fn cw3_bytes_of_another_type_are_refused(at: At) {
    let node = Node::start_at(at).await;
    let other = ("Content-Type", "application/x-www-form-urlencoded");
    let answer = send(&node, "POST", "/files/", &[("Upload-Length", "3"), other], b"abc").await;
    assert_eq!((answer.status, answer.header("location")), (415, None));
    assert_eq!(
        send(&node, "POST", "/files/", &[("Upload-Length", "3")], b"abc")
            .await
            .status,
        415
    );
    assert_eq!(
        post(&node, &[("Upload-Length", "3"), other]).await.status,
        201,
        "no bytes, no type"
    );
    for (piece, status) in [(&b"abc"[..], 415), (b"", 201)] {
        let mut wire = Wire::connect(node.address).await;
        let chunked = ("Transfer-Encoding", "chunked");
        wire.head("POST", "/files/", &[TUS, other, ("Upload-Length", "3"), chunked])
            .await;
        if !piece.is_empty() {
            wire.chunk(piece).await;
        }
        wire.chunk(b"").await;
        assert_eq!(wire.answer("POST").await.status, status, "{piece:?}");
    }
}

async fn cw4_what_arrived_before_a_cut_is_kept(at: At) {
    let node = Node::start_at(at).await;
    let mut wire = Wire::connect(node.address).await;
    let headers = [
        TUS,
        OCTETS,
        ("Upload-Length", "200000"),
        ("Content-Length", "200000"),
        NO_JOB,
    ];
    wire.head("POST", "/files/", &headers).await;
    let whole = content(200_000);
    wire.write(&whole[..100_000]).await;
    wire.close();
    let only = || async {
        let tenant = reelway_domain::Tenant::single();
        let listed = node.catalog.list_uploads(&tenant, None, None, 10).await.unwrap();
        listed.first().cloned()
    };
    until(async || only().await.is_some_and(|upload| upload.durable_offset.0 == 100_000)).await;
    let path = format!("/files/{}", only().await.unwrap().id);
    appended(&node, &path, 100_000, &whole[100_000..]).await;
    assert_eq!(node.stored(id(&path)).await, whole);
}

async fn cw5_who_waits_for_100_gets_it_or_the_refusal(at: At) {
    let node = Node::start_at(at).await;
    let expects = ("Expect", "100-continue");
    let mut wire = Wire::connect(node.address).await;
    let headers = [TUS, OCTETS, expects, ("Upload-Length", "3"), ("Content-Length", "3")];
    wire.head("POST", "/files/", &headers).await;
    assert_eq!(wire.answer("POST").await.status, 100);
    wire.write(b"abc").await;
    let answer = wire.answer("POST").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (201, Some("3")));

    let path = created(&node, 3).await;
    let refused = [
        ("POST", "/files/", [OCTETS, ("Upload-Length", "2")], 413),
        (
            "POST",
            "/files/",
            [("Content-Type", "text/plain"), ("Upload-Length", "3")],
            415,
        ),
        ("PATCH", &path, [OCTETS, ("Upload-Offset", "1")], 409),
        (
            "PATCH",
            &path,
            [("Content-Type", "text/plain"), ("Upload-Offset", "0")],
            415,
        ),
    ];
    for (method, path, headers, status) in refused {
        let mut wire = Wire::connect(node.address).await;
        wire.head(
            method,
            path,
            &[&headers[..], &[TUS, expects, ("Content-Length", "3")]].concat(),
        )
        .await;
        assert_eq!(wire.answer(method).await.status, status, "without a 100");
    }
}

async fn cw6_the_checksum_counts_here_too(at: At) {
    let node = Node::start_at(at).await;
    // echo -n abc | sha1sum
    let right = ("Upload-Checksum", "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    let headers = [OCTETS, ("Upload-Length", "3"), NO_JOB];
    let answer = send(&node, "POST", "/files/", &[&headers[..], &[right]].concat(), b"abc").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (201, Some("3")));
    let answer = send(&node, "POST", "/files/", &[&headers[..], &[right]].concat(), b"abd").await;
    assert_eq!((answer.status, answer.header("upload-offset")), (460, Some("0")));
    let path = answer.location();
    assert_eq!(offset(&node, &path).await, 0);
    assert_eq!(
        patch_with(&node, &path, 0, &[right], b"abc").await.status,
        204,
        "it can be sent again"
    );
    let unknown = ("Upload-Checksum", "sha512 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    let answer = send(&node, "POST", "/files/", &[&headers[..], &[unknown]].concat(), b"abc").await;
    assert_eq!((answer.status, answer.header("location")), (400, None));
}
