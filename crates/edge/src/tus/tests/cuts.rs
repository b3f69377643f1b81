//! Connections that end at any point of a request: with FIN, with RST, or by silence.

use std::time::Duration;

use reelway_domain::UploadState;

use super::*;
use crate::{
    Settings,
    testing::{Setup, content, until, wire::Wire},
};

on_both!(
    c18_cut_in_the_headers_and_before_the_body,
    c18_cut_in_the_body_keeps_every_byte_that_arrived,
    c18_cut_after_the_body_and_before_the_answer,
    c18_cut_in_a_chunked_body,
    c19_silence_closes_the_connection_and_keeps_what_came,
    a_node_that_goes_down_keeps_what_came,
);

const SIZE: usize = 300_000;

/// How a client goes away.
#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Rst,
}

impl End {
    fn of(self, wire: Wire) {
        match self {
            Self::Fin => wire.close(),
            Self::Rst => wire.reset(),
        }
    }
}

/// Begins to append everything at 0.
async fn begun(node: &Node, path: &str) -> Wire {
    let mut wire = Wire::connect(node.address).await;
    let size = SIZE.to_string();
    wire.head(
        "PATCH",
        path,
        &[TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", &size)],
    )
    .await;
    wire
}

/// Waits until so many bytes have come.
async fn written(node: &Node, path: &str, bytes: usize) {
    until(async || node.has_come(id(path), bytes).await).await;
}

async fn c18_cut_in_the_headers_and_before_the_body(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, SIZE).await;
    for end in [End::Fin, End::Rst] {
        let mut wire = Wire::connect(node.address).await;
        wire.write(format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nTus-Res").as_bytes())
            .await;
        end.of(wire);
        let before = node.upload(id(&path)).await.writer_epoch.0;
        let wire = begun(&node, &path).await;
        until(async || node.upload(id(&path)).await.writer_epoch.0 > before).await;
        end.of(wire);
        assert_eq!(offset(&node, &path).await, 0, "{end:?}");
    }
    appended(&node, &path, 0, &content(SIZE)).await;
}

async fn c18_cut_in_the_body_keeps_every_byte_that_arrived(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    for end in [End::Fin, End::Rst] {
        for sent in [1, 100_000, SIZE - 1] {
            let path = created(&node, SIZE).await;
            let mut wire = begun(&node, &path).await;
            wire.write(&whole[..sent]).await;
            written(&node, &path, sent).await;
            end.of(wire);
            assert_eq!(offset(&node, &path).await, sent, "{end:?}");
            appended(&node, &path, sent, &whole[sent..]).await;
            assert_eq!(node.stored(id(&path)).await, whole);
        }
    }
}

async fn c18_cut_after_the_body_and_before_the_answer(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    for end in [End::Fin, End::Rst] {
        let path = created(&node, SIZE).await;
        let mut wire = begun(&node, &path).await;
        wire.write(&whole).await;
        written(&node, &path, SIZE).await;
        end.of(wire);
        until(async || node.upload(id(&path)).await.state == UploadState::Complete).await;
        assert_eq!(offset(&node, &path).await, SIZE, "{end:?}");
        assert_eq!(node.stored(id(&path)).await, whole);
    }
}

async fn c18_cut_in_a_chunked_body(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    let path = created(&node, SIZE).await;
    let mut wire = Wire::connect(node.address).await;
    let chunked = ("Transfer-Encoding", "chunked");
    wire.head("PATCH", &path, &[TUS, OCTETS, ("Upload-Offset", "0"), chunked])
        .await;
    wire.chunk(&whole[..100_000]).await;
    wire.write(format!("{:x}\r\n", SIZE - 100_000).as_bytes()).await;
    wire.write(&whole[100_000..150_000]).await;
    written(&node, &path, 150_000).await;
    wire.close();
    assert_eq!(offset(&node, &path).await, 150_000);
}

async fn c19_silence_closes_the_connection_and_keeps_what_came(at: At) {
    let edge = Settings {
        body_idle_max: Duration::from_millis(200),
        ..Settings::default()
    };
    let node = Node::with(Setup {
        at,
        edge,
        ..Setup::default()
    })
    .await;
    let whole = content(SIZE);
    for sent in [0, 100_000] {
        let path = created(&node, SIZE).await;
        let mut wire = begun(&node, &path).await;
        wire.write(&whole[..sent]).await;
        let answer = wire.answer("PATCH").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(answer.json()["reason"], "STREAM_IDLE");
        wire.closed().await;
        assert_eq!(
            node.upload(id(&path)).await.durable_offset.0,
            sent as i64,
            "durable with the answer"
        );
        appended(&node, &path, sent, &whole[sent..]).await;
    }
}

async fn a_node_that_goes_down_keeps_what_came(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    let path = created(&node, SIZE).await;
    let mut wire = begun(&node, &path).await;
    wire.write(&whole[..100_000]).await;
    written(&node, &path, 100_000).await;
    node.shutdown.cancel();
    let answer = wire.answer("PATCH").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(node.upload(id(&path)).await.durable_offset.0, 100_000);
    wire.closed().await;
}
