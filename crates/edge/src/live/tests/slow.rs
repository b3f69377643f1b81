//! A browser that doesn't read costs no memory, and misses nothing.

use reelway_domain::{JobId, UploadId};
use tokio::net::TcpSocket;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{client_async, tungstenite::Message};

use super::{
    assert_gapless,
    harness::{Live, SIZE, SOCKET_BYTES},
    reader::{Next, Reader},
    seq,
};

/// All that lies between the service and a browser that doesn't read: sockets, and buffers of a constant size.
const HELD_BYTES_MAX: u64 = 64 << 10;
/// Half of these samples fill all that.
const SAMPLES: i64 = 2_000;

/// Lets much happen while one reader reads along and the one who called first doesn't. What is taken for that one from the
/// service must be little, and nothing any more when its way is full.
async fn happen(live: &Live, upload: UploadId, brisk: &mut Reader) {
    let mut taken = Vec::new();
    for sample in 1..=SAMPLES {
        let offset = SIZE + sample;
        let told = offset.to_string();
        live.sample(upload, offset);
        if sample % 100 == 0 {
            live.work().await;
        }
        // Samples are merged: that one was told shows that it is time for the next.
        while brisk.event("sample").await.json()["durableOffset"] != told {}
        if sample % (SAMPLES / 2) == 0 {
            taken.push((live.taken_bytes(0), live.taken_bytes(1)));
        }
    }
    let [(held, some), (held_at_last, much)] = taken[..] else {
        panic!("{taken:?}")
    };
    assert!(
        some > held && much > some + some / 2,
        "the other one reads along: {taken:?}"
    );
    assert!(held < HELD_BYTES_MAX, "{taken:?}");
    assert_eq!(held, held_at_last, "{taken:?}");
}

async fn brisk(live: &Live, job: JobId) -> Reader {
    let mut reader = Reader::get(live.address, &format!("/v1/jobs/{job}/events"), "").await;
    reader.event("snapshot").await;
    reader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_source_that_does_not_read_is_not_queued_for() {
    let live = Live::start().await;
    let (upload, job) = live.job().await;
    let path = format!("/v1/jobs/{job}/events");
    let mut slow = Reader::get(live.address, &path, "").await;
    let mut brisk = brisk(&live, job).await;
    happen(&live, upload, &mut brisk).await;

    // It reads a little and is cut off, with much unread.
    let mut seqs = Vec::new();
    for _ in 0..20 {
        let block = slow.block().await;
        if block.event == "event" {
            seqs.push(seq(&block.json()));
        }
    }
    let last_id = slow.last_id.clone();
    drop(slow);
    live.cancel(job).await;
    let mut resumed = Reader::get(live.address, &path, &last_id).await;
    while let Next::Block(block) = resumed.next().await {
        if block.event == "event" {
            seqs.push(seq(&block.json()));
        }
    }
    let last = live.last_seq(job).await;
    assert!(last > SAMPLES / 100);
    assert_gapless(&seqs, seqs[0], last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_does_not_read_is_not_queued_for() {
    let live = Live::start().await;
    let (upload, job) = live.job().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(SOCKET_BYTES).unwrap();
    let stream = socket.connect(live.address).await.unwrap();
    let url = format!("ws://{}/v1/jobs/{job}/ws", live.address);
    let (mut slow, _) = client_async(url, stream).await.unwrap();
    // It is there, and from now on reads nothing.
    slow.next().await.unwrap().unwrap();
    let mut brisk = brisk(&live, job).await;
    happen(&live, upload, &mut brisk).await;

    live.cancel(job).await;
    let mut seqs = Vec::new();
    while let Some(Ok(Message::Text(text))) = slow.next().await {
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        if told.get("event").is_some() {
            seqs.push(seq(&told["event"]));
        }
    }
    assert_gapless(&seqs, seqs[0], live.last_seq(job).await);
}
