//! Several servers on one catalog and one store, as separate processes have them. Nothing can stop what an earlier one still
//! writes, so it must not matter.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reelway::v1::{self, CreateUploadRequest, UploadState};
use reelway_blob::StagedFile;
use reelway_bus::Bus;
use reelway_domain::{FileEpoch, Offset, Reason, WriterEpoch};
use sha2::{Digest as _, Sha256};

use super::{harness::*, on_both};

on_both!(
    writers_on_all_servers_in_turn,
    an_idle_stream_elsewhere_is_ended,
    a_stream_that_ended_leaves_its_file_to_the_next,
    nothing_is_acknowledged_while_the_catalog_is_away,
);

/// How soon a stream hears that it was taken over, on a machine that has much else to do: nothing else would end it within a minute.
const SOON: Duration = Duration::from_secs(10);

/// The bytes of a complete upload, which has one file.
async fn whole(node: &Node, id: &str) -> Vec<u8> {
    let row = node.row(id).await;
    // What a bucket's object was staged in goes a moment later.
    until(async || node.uploads().await.iter().filter(|upload| **upload == row.id).count() == 1).await;
    node.stored(id).await
}

/// An upload that only completes with exactly these bytes.
async fn promised(node: &Node, content: &Bytes) -> v1::Upload {
    let request = CreateUploadRequest {
        size_bytes: Some(i64::try_from(content.len()).unwrap()),
        expected_sha256: Bytes::copy_from_slice(&Sha256::digest(content)),
        ..Default::default()
    };
    node.create_with(request).await.unwrap()
}

/// The file of the node's newest writer, as a thread has it that was paused before its write.
async fn held(node: &Node, id: &str) -> StagedFile {
    let row = node.row(id).await;
    let opened = node.disk().open_writer(row.id, row.writer_epoch, row.file_epoch);
    opened.await.unwrap()
}

#[tokio::test]
async fn a_late_write_of_another_process_changes_nothing() {
    let a = Node::sharing(At::Disk).await;
    let b = a.beside(Bus::default()).await;
    let content = content(3 * MIB);
    let upload = promised(&a, &content).await;
    let (mut old, _) = Stream::open(&a, flush(chunk(&upload, 0, content.slice(..MIB)))).await;
    assert_eq!(old.answer().await.unwrap().unwrap().durable_offset, MIB as i64);
    let late = held(&a, &upload.id).await;
    // What was written and not acknowledged before the take-over doesn't count either.
    let garbage = Bytes::from(vec![0xee; 2 * MIB]);
    late.write_at(Offset(MIB as i64), garbage.clone()).await.unwrap();

    let (mut new, begun) = Stream::open(&b, chunk(&upload, MIB, content.slice(MIB..2 * MIB))).await;
    assert_eq!(begun.durable_offset, MIB as i64);
    new.send(flush(chunk(&upload, 2 * MIB, ""))).await;
    assert_eq!(new.answer().await.unwrap().unwrap().durable_offset, 2 * MIB as i64);
    let failure = refused(old.end().await, Reason::WriterSuperseded);
    assert!(durable(&failure) >= MIB, "where it can go on now");
    late.write_at(Offset(MIB as i64), garbage.clone()).await.unwrap();
    late.sync().await.unwrap();
    new.send(chunk(&upload, 2 * MIB, content.slice(2 * MIB..))).await;
    assert_eq!(new.end().await.unwrap().state(), UploadState::Complete);
    late.write_at(Offset(0), garbage).await.unwrap();
    assert!(whole(&b, &upload.id).await == content);
}

/// Small numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// A stream that nobody closed, and on disk what its process still has to write.
type Left = (Stream, Option<StagedFile>);

/// Writes one turn's chunks on a node. `None` if the stream ended, or has come to its end.
async fn turn(node: &Node, upload: &v1::Upload, content: &Bytes, dice: &mut Dice) -> Option<Left> {
    let (mut stream, begin) = Stream::open(node, chunk(upload, 0, "")).await;
    let mut at = usize::try_from(begin.durable_offset).unwrap();
    for _ in 0..dice.below(6) {
        let end = content.len().min(at + 1 + dice.below(100_000));
        stream.send(chunk(upload, at, content.slice(at..end))).await;
        at = end;
    }
    if dice.below(2) == 0 {
        stream.send(flush(chunk(upload, at, ""))).await;
        let acked = stream.answer().await.unwrap().unwrap();
        assert!(acked.durable_offset >= begin.durable_offset, "offsets_never_go_back");
    }
    match dice.below(3) {
        0 => {
            stream.close();
            stream.end().await.unwrap();
            None
        }
        1 => None,
        _ => {
            let held = match node.store.disk() {
                Some(_) => Some(held(node, &upload.id).await),
                None => None,
            };
            Some((stream, held))
        }
    }
}

async fn writers_on_all_servers_in_turn(at: At) {
    let a = Node::sharing(at).await;
    let mut nodes = vec![a.beside(a.bus.clone()).await, a];
    let content = content(3 * MIB);
    let mut most_files = 0;
    for seed in 1..=4 {
        let mut dice = Dice(seed);
        let upload = promised(&nodes[0], &content).await;
        let mut left: Vec<Left> = Vec::new();
        for round in 0.. {
            let row = nodes[0].row(&upload.id).await;
            most_files = most_files.max(row.file_epoch.0);
            if round >= 12 || row.durable_offset.as_u64() > content.len() as u64 * 3 / 4 {
                break;
            }
            if dice.below(6) == 0 {
                // A process that was killed comes back as another one.
                let fresh = nodes[0].beside(nodes[0].bus.clone()).await;
                nodes.push(fresh);
            }
            let node = &nodes[dice.below(nodes.len())];
            let last = turn(node, &upload, &content, &mut dice).await;
            // Whoever was taken over by another process writes on, behind where that one began.
            let begun = nodes[0].row(&upload.id).await.durable_offset;
            for file in left.iter().filter_map(|(_, file)| file.as_ref()) {
                let garbage = vec![0xee; 1 + dice.below(200_000)];
                let at = begun.advanced(dice.below(100_000));
                // A writer of the same process is held back by the store.
                let _ = file.write_at(at, garbage.into()).await;
            }
            left.extend(last);
        }
        let at = usize::try_from(nodes[1].get(&upload.id).await.durable_offset).unwrap();
        let done = nodes[1].write(chunks(&upload, &content, at, MIB)).await.unwrap();
        assert_eq!(done.state(), UploadState::Complete, "seed {seed}");
        assert!(whole(&nodes[0], &upload.id).await == content, "seed {seed}");
    }
    assert!(most_files > 4, "servers took over from each other: {most_files}");
}

async fn an_idle_stream_elsewhere_is_ended(at: At) {
    for with_hints in [true, false] {
        let a = Node::sharing(at).await;
        let bus = if with_hints { a.bus.clone() } else { Bus::default() };
        let b = a.beside(bus).await;
        let upload = a.create(Some(6)).await;
        let (mut old, _) = Stream::open(&a, flush(chunk(&upload, 0, "abc"))).await;
        assert_eq!(old.answer().await.unwrap().unwrap().durable_offset, 3);
        let begin = Instant::now();
        let (mut new, begun) = Stream::open(&b, chunk(&upload, 3, "d")).await;
        assert_eq!(begun.durable_offset, 3);
        let failure = refused(old.end().await, Reason::WriterSuperseded);
        assert!(begin.elapsed() < SOON, "{:?}, hints: {with_hints}", begin.elapsed());
        assert_eq!(durable(&failure), 3);
        new.send(chunk(&upload, 4, "ef")).await;
        assert_eq!(new.end().await.unwrap().state(), UploadState::Complete);
        assert_eq!(whole(&a, &upload.id).await, b"abcdef");

        let upload = a.create(None).await;
        let (mut stream, _) = Stream::open(&a, flush(chunk(&upload, 0, "abc"))).await;
        stream.answer().await.unwrap().unwrap();
        let begin = Instant::now();
        b.abort(&upload.id).await.unwrap();
        refused(stream.end().await, Reason::UploadAborted);
        assert!(begin.elapsed() < SOON, "{:?}, hints: {with_hints}", begin.elapsed());
    }
}

/// Calls that come one after the other, each to another server, as behind a load balancer.
async fn a_stream_that_ended_leaves_its_file_to_the_next(at: At) {
    let a = Node::sharing(at).await;
    let b = a.beside(Bus::default()).await;
    let content = content(4 * MIB);
    let upload = promised(&a, &content).await;
    for (i, node) in [&a, &b, &a, &b].into_iter().enumerate() {
        let piece = content.slice(i * MIB..(i + 1) * MIB);
        node.write(vec![chunk(&upload, i * MIB, piece)]).await.unwrap();
        assert_eq!(node.row(&upload.id).await.file_epoch, FileEpoch::FIRST);
    }
    assert_eq!(a.get(&upload.id).await.state(), UploadState::Complete);
    assert!(whole(&a, &upload.id).await == content);
}

/// Killed while it brought the files together: what it copied is not relied upon.
#[tokio::test]
async fn whoever_comes_next_gathers_again() {
    let content = content(2 * MIB);
    for same_process in [true, false] {
        let a = Node::sharing(At::Disk).await;
        let b = a.beside(Bus::default()).await;
        let upload = promised(&a, &content).await;
        let (mut old, _) = Stream::open(&a, flush(chunk(&upload, 0, content.slice(..MIB)))).await;
        old.answer().await.unwrap().unwrap();
        let rest = content.slice(MIB..2 * MIB - 1);
        let (mut new, _) = Stream::open(&b, flush(chunk(&upload, MIB, rest))).await;
        new.answer().await.unwrap().unwrap();
        let row = b.row(&upload.id).await;
        assert_eq!((row.file_epoch, row.writer_epoch), (FileEpoch(2), WriterEpoch(2)));
        held(&b, &upload.id)
            .await
            .write_at(Offset::ZERO, vec![0xee; MIB / 2].into())
            .await
            .unwrap();
        let c = a.beside(Bus::default()).await;
        let next = if same_process { &b } else { &c };
        let last = chunk(&upload, 2 * MIB - 1, content.slice(2 * MIB - 1..));
        assert_eq!(next.write(vec![last]).await.unwrap().state(), UploadState::Complete);
        assert!(whole(next, &upload.id).await == content);
    }
}

async fn nothing_is_acknowledged_while_the_catalog_is_away(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, flush(chunk(&upload, 0, "abc"))).await;
    assert_eq!(stream.answer().await.unwrap().unwrap().durable_offset, 3);
    node.catalog.close().await;
    stream.send(flush(chunk(&upload, 3, "def"))).await;
    let failure = refused(stream.answer().await.unwrap(), Reason::CatalogUnavailable);
    assert_eq!(durable(&failure), 3);
    assert!(stream.answer().await.is_none());
}
