//! What both write RPCs do with bytes that are as they should be.

use std::sync::Arc;

use reelway::v1::UploadState;
use reelway_domain::{Sample, limits};
use tokio::sync::Notify;

use super::{harness::*, on_both};

on_both!(
    acked_is_durable,
    write_upload_answers_at_the_end,
    each_flush_has_an_answer,
    bytes_that_are_there_are_skipped,
    a_slow_stream_is_made_durable_without_being_asked,
    writing_a_complete_upload_is_fine,
);

/// Invariant 1, as far as a living process shows it; that the sync comes first is seen with strace.
async fn acked_is_durable(at: At) {
    let node = Node::start(at).await;
    let content = content(40 * MIB + 77);
    let upload = node.create(Some(content.len())).await;
    let (mut stream, begin) = Stream::open(&node, chunk(&upload, 0, content.slice(..1))).await;
    assert_eq!(begin.durable_offset, 0);
    let messages = chunks(&upload, &content, 1, MIB);
    let (sender, answered) = (stream.sender(), Arc::new(Notify::new()));
    let goes_on = Arc::clone(&answered);
    let sending = beside(async move {
        for (index, message) in messages.into_iter().enumerate() {
            // The second half comes only after an answer: there is one along the way, not only at the end.
            if index == 20 {
                goes_on.notified().await;
            }
            let _ = sender
                .send(reelway::v1::StreamUploadRequest { chunk: Some(message) })
                .await;
        }
    });
    stream.close();
    let (mut acked, mut last) = (0, None);
    while let Some(answer) = stream.answer().await {
        let answer = answer.unwrap();
        assert!(answer.durable_offset >= acked, "offsets_never_go_back");
        let (from, to) = (acked.unsigned_abs(), answer.durable_offset.unsigned_abs());
        assert!(
            node.get(&upload.id).await.durable_offset >= answer.durable_offset,
            "it is recorded"
        );
        let [from, to] = [from, to].map(|at| usize::try_from(at).unwrap());
        assert!(node.has(&upload.id, from, &content[from..to]).await);
        (acked, last) = (answer.durable_offset, answer.upload);
        answered.notify_one();
    }
    sending.await.unwrap();
    let last = last.expect("the last answer has the upload");
    assert_eq!(
        (last.state(), usize::try_from(acked)),
        (UploadState::Complete, Ok(content.len()))
    );
    assert!(node.stored(&upload.id).await == content);
}

async fn write_upload_answers_at_the_end(at: At) {
    let node = Node::start(at).await;
    let content = content(3 * MIB);
    let upload = node.create(Some(content.len())).await;
    let half = node
        .write(chunks(&upload, &content.slice(..MIB), 0, MIB / 4))
        .await
        .unwrap();
    assert_eq!(
        (half.state(), half.durable_offset),
        (UploadState::Receiving, MIB as i64)
    );
    let whole = node.write(chunks(&upload, &content, MIB, MIB)).await.unwrap();
    assert_eq!(whole.state(), UploadState::Complete, "also without finish");
    assert!(node.stored(&upload.id).await == content);
}

async fn each_flush_has_an_answer(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, flush(chunk(&upload, 0, "abc"))).await;
    assert_eq!(stream.answer().await.unwrap().unwrap().durable_offset, 3);
    stream.send(chunk(&upload, 3, "d")).await;
    stream.send(flush(chunk(&upload, 4, ""))).await;
    assert_eq!(stream.answer().await.unwrap().unwrap().durable_offset, 4);
    stream.send(flush(chunk(&upload, 4, ""))).await;
    assert_eq!(
        stream.answer().await.unwrap().unwrap().durable_offset,
        4,
        "nothing new, but asked for"
    );
    assert_eq!(node.get(&upload.id).await.durable_offset, 4);
    stream.close();
    assert_eq!(stream.end().await.unwrap().state(), UploadState::Receiving);
}

async fn bytes_that_are_there_are_skipped(at: At) {
    let node = Node::start(at).await;
    let content = content(1000);
    let upload = node.create(Some(content.len())).await;
    node.write(vec![chunk(&upload, 0, content.slice(..600))]).await.unwrap();
    // The first 600 bytes are others now: what was acknowledged must not change.
    let mut changed = content.to_vec();
    changed[..600].fill(0);
    let again = [(0, 100), (100, 900), (900, 1000)].map(|(from, to)| chunk(&upload, from, changed[from..to].to_vec()));
    let whole = node.write(again.into()).await.unwrap();
    assert_eq!(whole.state(), UploadState::Complete);
    assert!(node.stored(&upload.id).await == content);
}

async fn a_slow_stream_is_made_durable_without_being_asked(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let mut samples = node.bus.samples();
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 0, "abc")).await;
    assert_eq!(stream.answer().await.unwrap().unwrap().durable_offset, 3);
    let Some(Sample::Upload {
        upload: about,
        durable_offset,
    }) = patient(samples.next()).await
    else {
        panic!("no sample")
    };
    assert_eq!((about.to_string(), durable_offset), (upload.id, 3));
}

async fn writing_a_complete_upload_is_fine(at: At) {
    let node = Node::start(at).await;
    let content = content(5 * MIB);
    let upload = node.create(Some(content.len())).await;
    let complete = node.write(chunks(&upload, &content, 0, MIB)).await.unwrap();
    // More than the windows hold, so the server has to read it out.
    let again = (0..20)
        .map(|_| chunk(&upload, 0, content.slice(..limits::CHUNK_BYTES_MAX)))
        .collect();
    assert_eq!(node.write(again).await.unwrap(), complete);
    assert_eq!(node.complete(&upload.id, content.len() as i64).await.unwrap(), complete);
    let (mut stream, begin) = Stream::open(&node, chunk(&upload, 0, "abc")).await;
    assert_eq!(begin, complete);
    assert!(stream.answer().await.is_none(), "the stream ends with OK");
    assert!(node.stored(&upload.id).await == content);
}
