//! Very many connections, streams and frames: memory stays, and others are served.

use std::time::Duration;

use serde_json::Value;

use super::raw::{Raw, ask, frame, headers};
use crate::harness::{Node, get_ok, memory_kib, memory_peak_kib, within_secs};

/// What a connection that does nothing may take, in KiB.
const IDLE_KIB_MAX: u64 = 40;
/// What a flood may take while it lasts, in KiB.
const FLOOD_KIB_MAX: u64 = 32 << 10;
const DATA: u8 = 0;
const RST_STREAM: u8 = 3;

async fn is_served(node: &Node) {
    let answer = ask(&node.http_url(), "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_cost_little() {
    let node = Node::with(&["--http-connections-per-address", "1001"]).await;
    is_served(&node).await;
    let before = memory_kib(node.pid());
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut raw = Raw::connect(&node.http_url()).await;
        raw.say(b"OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200"));
        idle.push(raw);
    }
    let each = memory_kib(node.pid()).saturating_sub(before) / 1000;
    eprintln!("an idle connection takes {each} KiB");
    assert!(each <= IDLE_KIB_MAX, "{each} KiB for each connection");
    is_served(&node).await;
    // One more than that is there with the one that just ended.
    let last = Raw::connect(&node.http_url()).await;
    assert!(
        Raw::connect(&node.http_url()).await.rest().await.is_empty(),
        "it has no room"
    );
    drop((last, idle));
    within_secs(30, "room again", async || {
        ask(&node.http_url(), "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n")
            .await
            .starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_their_connection() {
    let node = Node::start().await;
    let mut raw = Raw::http2(&node.http_url()).await;
    let before = memory_peak_kib(node.pid());
    let (mut said, mut is_open) = (0, true);
    while is_open && said < 100_000 {
        let mut burst = Vec::new();
        for n in said..said + 100 {
            let stream = 2 * n + 1;
            burst.extend(headers(stream, "GET", "/v1/uploads", &[]));
            burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        said += 100;
        is_open = raw.say(&burst).await;
        raw.drain();
    }
    assert!(!is_open, "it took {said} streams");
    let grown = memory_peak_kib(node.pid()) - before;
    assert!(grown < FLOOD_KIB_MAX, "{grown} KiB");
    is_served(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tiny_frames_take_no_memory() {
    const FRAMES: usize = 10_000;
    let node = Node::start().await;
    assert_eq!(send_tiny_frames(&node, 10).await, 10);
    let before = memory_peak_kib(node.pid());
    let offset = send_tiny_frames(&node, FRAMES).await;
    let grown = memory_peak_kib(node.pid()) - before;
    eprintln!("{offset} of {FRAMES} tiny frames arrived, memory grew by {grown} KiB");
    assert!(grown < FLOOD_KIB_MAX, "{grown} KiB");
    is_served(&node).await;
}

/// Uploads a byte in each frame. Gives how many were stored until all were, or the server ended the connection: h2 does so when
/// too many frames wait that are hardly worth their headers.
async fn send_tiny_frames(node: &Node, count: usize) -> usize {
    let creation = format!("POST /files/ HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nUpload-Length: {count}\r\n");
    let created = ask(&node.http_url(), &creation).await;
    let path = created.lines().find_map(|line| line.strip_prefix("location: http://h"));
    let path = path.expect("an upload");
    let mut raw = Raw::http2(&node.http_url()).await;
    let patch = [
        ("tus-resumable", "1.0.0"),
        ("upload-offset", "0"),
        ("content-type", "application/offset+octet-stream"),
    ];
    let mut said = headers(1, "PATCH", path, &patch);
    for n in 1..=count {
        said.extend(frame(DATA, u8::from(n == count), 1, b"x"));
    }
    let mut is_open = raw.say(&said).await;
    let upload = format!("{}{}", node.http_url(), path.replace("/files/", "/v1/uploads/"));
    let mut offset = 0;
    within_secs(30, "the end of the frames", async || {
        is_open = is_open && raw.drain();
        let (_, told) = get_ok(&upload).await;
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        let told = told["upload"]["durableOffset"].as_str().expect("an offset");
        offset = told.parse().expect("a number");
        offset == count || !is_open
    })
    .await;
    offset
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_http2_has_a_limit() {
    let node = Node::start().await;
    let mut raw = Raw::http2(&node.http_url()).await;
    // CONTINUATION frames without end (CVE-2024-27316): the first block is open.
    let mut first = headers(1, "GET", "/v1/uploads", &[]);
    first[4] = 0;
    let mut is_open = raw.say(&first).await;
    let value = "y".repeat(100);
    let mut field = vec![0, 1, b'x', 100];
    field.extend(value.as_bytes());
    let more = frame(9, 0, 1, &field.repeat(100));
    let mut said = 0;
    while is_open && said < 64 << 20 {
        is_open = raw.say(&more).await;
        raw.drain();
        said += more.len();
    }
    assert!(!is_open, "it took {said} bytes of headers");
    within_secs(30, "an answer to others", async || {
        tokio::time::timeout(Duration::from_secs(5), is_served(&node))
            .await
            .is_ok()
    })
    .await;
}
