//! One writer: who comes later wins, at once.

use std::time::{Duration, Instant};

use reelway::v1::UploadState;
use reelway_domain::Reason;

use super::{harness::*, on_both};

on_both!(
    an_idle_stream_is_taken_over_at_once,
    one_writer,
    an_abort_ends_an_idle_stream,
    complete_upload_takes_an_idle_stream_over,
    a_stream_that_was_taken_over_has_no_part_in_the_success_of_another,
);

/// How soon a stream hears that it was taken over, on a machine that has much else to do: without being told it would not hear at all.
const SOON: Duration = Duration::from_secs(10);

async fn an_idle_stream_is_taken_over_at_once(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(6)).await;
    let (mut old, _) = Stream::open(&node, flush(chunk(&upload, 0, "abc"))).await;
    assert_eq!(old.answer().await.unwrap().unwrap().durable_offset, 3);
    let begin = Instant::now();
    let (mut new, begun) = Stream::open(&node, chunk(&upload, 3, "d")).await;
    assert_eq!(begun.durable_offset, 3);
    let failure = refused(old.end().await, Reason::WriterSuperseded);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!(durable(&failure), 3);
    new.send(chunk(&upload, 4, "ef")).await;
    assert_eq!(new.end().await.unwrap().state(), UploadState::Complete);
    assert_eq!(node.stored(&upload.id).await, b"abcdef");
}

/// Invariants 2 and 3: many writers at once, each from where the upload is durable, each with its own bytes. Whatever the
/// order, what was acknowledged to one of them stays as that one wrote it.
async fn one_writer(at: At) {
    const WRITERS: u8 = 8;
    const CHUNK_BYTES: usize = 64 << 10;
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let write = async |letter: u8| {
        let mut acked = Vec::new();
        for _ in 0..6 {
            let Ok((mut stream, begin)) = Stream::try_open(&node, chunk(&upload, 0, "")).await else {
                continue;
            };
            let mut durable = usize::try_from(begin.durable_offset).unwrap();
            // Several streams of chunks without waiting, then an acknowledgement.
            for i in 0..4 {
                stream
                    .send(chunk(&upload, durable + i * CHUNK_BYTES, vec![letter; CHUNK_BYTES]))
                    .await;
            }
            stream.send(flush(chunk(&upload, durable + 4 * CHUNK_BYTES, ""))).await;
            while let Some(Ok(answer)) = stream.answer().await {
                let to = usize::try_from(answer.durable_offset).unwrap();
                assert!(to >= durable, "offsets_never_go_back");
                acked.push((letter, durable..to));
                if to == usize::try_from(begin.durable_offset).unwrap() + 4 * CHUNK_BYTES {
                    break;
                }
                durable = to;
            }
        }
        acked
    };
    let writers = (0..WRITERS).map(|i| write(b'a' + i));
    let acked: Vec<_> = futures_util::future::join_all(writers).await.concat();
    let durable = usize::try_from(node.get(&upload.id).await.durable_offset).unwrap();
    node.complete(&upload.id, durable as i64).await.unwrap();
    let stored = node.stored(&upload.id).await;
    assert!(acked.iter().any(|(_, range)| !range.is_empty()), "somebody got through");
    assert!(durable <= stored.len());
    for (letter, range) in acked {
        assert!(range.end <= durable);
        assert!(
            stored[range.clone()].iter().all(|byte| *byte == letter),
            "{letter} {range:?}"
        );
    }
}

async fn an_abort_ends_an_idle_stream(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, flush(chunk(&upload, 0, "abc"))).await;
    stream.answer().await.unwrap().unwrap();
    let begin = Instant::now();
    node.abort(&upload.id).await.unwrap();
    refused(stream.end().await, Reason::UploadAborted);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

async fn complete_upload_takes_an_idle_stream_over(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, flush(chunk(&upload, 0, "abc"))).await;
    stream.answer().await.unwrap().unwrap();
    let complete = node.complete(&upload.id, 3).await.unwrap();
    refused(stream.end().await, Reason::WriterSuperseded);
    assert_eq!(node.get(&upload.id).await, complete);
}

/// Invariant 3: the bytes of whoever completed the upload may be others.
async fn a_stream_that_was_taken_over_has_no_part_in_the_success_of_another(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(3)).await;
    let (mut old, _) = Stream::open(&node, chunk(&upload, 0, "")).await;
    // Another process, of which no hint tells: the old stream finds out when it completes what is complete by then.
    node.completed_elsewhere(&upload.id).await;
    old.send(chunk(&upload, 0, "old")).await;
    let failure = refused(old.end().await, Reason::WriterSuperseded);
    assert_eq!(durable(&failure), 3);
    assert_eq!(node.get(&upload.id).await.state(), UploadState::Complete);
}
