//! Connections that break.

use reelway::v1::UploadState;

use super::harness::*;

on_both!(
    r13_a_cut_creation_keeps_what_came,
    r13_a_cut_append_keeps_what_came,
    r13_a_cut_upload_that_nobody_can_resume_is_given_up,
    r13_r25_a_cut_before_the_digest_was_verified_counts_nothing,
);

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Rst,
}

const ENDS: [End; 2] = [End::Fin, End::Rst];

fn cut(wire: Wire, end: End) {
    match end {
        End::Fin => wire.close(),
        End::Rst => wire.reset(),
    }
}

/// Sends the first half of 2 MiB and cuts the connection. Gives all of the 2 MiB.
async fn half(node: &Node, method: &str, path: &str, headers: &[&str], end: End) -> Vec<u8> {
    let content = content(2 << 20);
    let headers = [headers, &["Content-Length: 2097152"]].concat();
    let mut wire = begun(node, method, path, &headers).await;
    wire.write(&content[..1 << 20]).await;
    // A reset takes with it what the edge has not read yet.
    until(async || durable(node).await > 0).await;
    cut(wire, end);
    if matches!(end, End::Fin) {
        until(async || durable(node).await == 1 << 20).await;
    }
    content
}

/// Goes on after the cut, and looks at what is there in the end.
async fn go_on(node: &Node, path: &str, content: &[u8]) {
    let told = head(node, path).await;
    let (status, complete, offset) = told.standing();
    assert_eq!((status, complete), (204, "?0"));
    assert!(0 < offset && offset <= 1 << 20, "{offset}");
    let offset = usize::try_from(offset).unwrap();
    let done = append(node, path, offset, "?1", &content[offset..]).await;
    assert_eq!(done.standing(), (201, "?1", 2 << 20));
    assert!(node.stored(id(path)).await == content);
}

async fn r13_a_cut_creation_keeps_what_came(at: At) {
    for end in ENDS {
        let node = Node::start_at(at).await;
        let content = half(&node, "POST", "/uploads", &["Upload-Complete: ?1"], end).await;
        let path = format!("/uploads/{}", uploads(&node).await[0].id);
        go_on(&node, &path, &content).await;
    }
}

async fn r13_a_cut_append_keeps_what_came(at: At) {
    for end in ENDS {
        let node = Node::start_at(at).await;
        let path = created(&node, 2 << 20).await;
        let content = half(&node, "PATCH", &path, &append_headers(0, "?1", ""), end).await;
        go_on(&node, &path, &content).await;
    }
}

async fn r13_a_cut_upload_that_nobody_can_resume_is_given_up(at: At) {
    for end in ENDS {
        let node = Node::start_at(at).await;
        let content = content(1 << 20);
        let mut wire = begun(&node, "POST", "/uploads", &["Content-Length: 2097152"]).await;
        wire.write(&content).await;
        until(async || durable(&node).await > 0).await;
        cut(wire, end);
        until(async || uploads(&node).await[0].state() == UploadState::Aborted).await;
    }
}

async fn r13_r25_a_cut_before_the_digest_was_verified_counts_nothing(at: At) {
    for end in ENDS {
        let node = Node::start_at(at).await;
        let path = created(&node, 9).await;
        let digest = "Content-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
        let headers = [&append_headers(0, "?1", digest)[..], &["Content-Length: 9"]].concat();
        let mut wire = begun(&node, "PATCH", &path, &headers).await;
        wire.write(b"abc").await;
        cut(wire, end);
        assert_eq!(head(&node, &path).await.standing(), (204, "?0", 0), "{end:?}");
        assert_eq!(
            append(&node, &path, 0, "?1", b"abcdefghi").await.standing(),
            (201, "?1", 9)
        );
    }
}
