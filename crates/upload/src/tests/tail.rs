//! PutUploadTail.

use bytes::Bytes;
use reelway::v1::{self, CreateUploadRequest, PutUploadTailRequest, UploadState};
use reelway_auth::{Access, Identity, UploadGrant};
use reelway_blob::Store;
use reelway_domain::{Failure, Offset, Reason, Timestamp, limits};

use tokio_stream::wrappers::ReceiverStream;

use super::{harness::*, on_both};

on_both!(
    a_tail_comes_ahead_and_goes_when_the_upload_is_complete,
    a_tail_that_lies_is_dropped_and_changes_no_byte,
    a_tail_that_comes_while_a_writer_is_there_is_compared_too,
    a_tail_that_lies_is_forgotten_also_if_it_comes_last,
    every_mistake_has_a_reason_and_leaves_nothing,
    only_a_whole_file_of_known_length_takes_a_tail,
    a_grant_is_good_for_the_tail_of_its_upload_alone,
);

const SIZE: usize = 100_000;
const TAIL: usize = 60_000;

/// The end of the file from `tail` on, in messages of this size.
fn runs(upload: &v1::Upload, content: &Bytes, tail: usize, run_bytes: usize) -> Vec<PutUploadTailRequest> {
    let run = |offset: usize| PutUploadTailRequest {
        upload_id: if offset == tail {
            upload.id.clone()
        } else {
            String::new()
        },
        offset: i64::try_from(offset).unwrap(),
        data: content.slice(offset..content.len().min(offset + run_bytes)),
    };
    (tail..content.len()).step_by(run_bytes).map(run).collect()
}

async fn put(node: &Node, runs: Vec<PutUploadTailRequest>) -> Result<v1::Upload, Failure> {
    let answer = node.client.clone().put_upload_tail(tokio_stream::iter(runs)).await;
    Ok(answer.map_err(failure)?.into_inner().upload.unwrap())
}

/// An upload with its file's tail.
async fn with_tail(node: &Node, content: &Bytes) -> v1::Upload {
    let upload = node.create(Some(content.len())).await;
    put(node, runs(&upload, content, TAIL, 7000)).await.unwrap()
}

/// How many there are: on disk with those that are still being received.
async fn tails(node: &Node) -> usize {
    let bucket = match &node.store {
        Store::Disk(disk) => return disk.list_tails().await.unwrap().len(),
        Store::Bucket(bucket) => bucket,
    };
    let mut found = 0;
    for upload in node.uploads().await {
        let is_there = bucket.tail(upload, Offset(60_000)).size_bytes().await.is_ok();
        found += usize::from(is_there);
    }
    found
}

async fn tail_bytes(node: &Node, upload: &v1::Upload) -> Bytes {
    let (id, tail) = (upload.id.parse().unwrap(), Offset(60_000));
    match &node.store {
        Store::Disk(disk) => std::fs::read(disk.tail_path(id, tail)).unwrap().into(),
        Store::Bucket(bucket) => {
            let tail = bucket.tail(id, tail);
            tail.read_at(Offset::ZERO, SIZE - TAIL).await.unwrap()
        }
    }
}

async fn a_tail_comes_ahead_and_goes_when_the_upload_is_complete(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let upload = with_tail(&node, &content).await;
    assert_eq!((upload.tail_offset, upload.durable_offset), (Some(60_000), 0));
    assert_eq!(node.get(&upload.id).await, upload);
    assert_eq!(tail_bytes(&node, &upload).await, content[TAIL..]);
    // Again, and in other messages.
    let again = put(&node, runs(&upload, &content, TAIL, SIZE)).await.unwrap();
    assert_eq!(again.tail_offset, Some(60_000));
    let done = node.write(chunks(&upload, &content, 0, 30_000)).await.unwrap();
    assert_eq!(done.state(), UploadState::Complete);
    assert_eq!(done.tail_offset, Some(60_000), "it was right");
    assert_eq!(
        (node.stored(&upload.id).await, tails(&node).await),
        (content.to_vec(), 0)
    );
    refused(
        put(&node, runs(&upload, &content, TAIL, SIZE)).await,
        Reason::TailUnusable,
    );
}

async fn a_tail_that_lies_is_dropped_and_changes_no_byte(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let upload = node.create(Some(SIZE)).await;
    let mut wrong = content.to_vec();
    wrong[SIZE - 1] ^= 1;
    put(&node, runs(&upload, &wrong.into(), TAIL, SIZE)).await.unwrap();
    let other = put(&node, runs(&upload, &content, TAIL, SIZE)).await;
    assert_eq!(refused(other, Reason::TailUnusable).metadata["tailOffset"], "60000");
    let (first, rest) = (content.slice(..50_000), chunks(&upload, &content, 50_000, 30_000));
    node.write(vec![chunk(&upload, 0, first)]).await.unwrap();
    let done = node.write(rest).await.unwrap();
    assert_eq!((done.state(), done.tail_offset), (UploadState::Complete, None));
    assert_eq!(
        (node.stored(&upload.id).await, tails(&node).await),
        (content.to_vec(), 0)
    );
}

async fn a_tail_that_comes_while_a_writer_is_there_is_compared_too(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let upload = node.create(Some(SIZE)).await;
    let (stream, _) = Stream::open(&node, chunk(&upload, 0, content.slice(..10))).await;
    put(&node, runs(&upload, &content, TAIL, SIZE)).await.unwrap();
    stream.send(chunk(&upload, 10, content.slice(10..))).await;
    let mut stream = stream;
    assert_eq!(stream.end().await.unwrap().state(), UploadState::Complete);
    assert_eq!(
        (node.stored(&upload.id).await, tails(&node).await),
        (content.to_vec(), 0)
    );
}

async fn a_tail_that_lies_is_forgotten_also_if_it_comes_last(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let upload = node.create(Some(SIZE)).await;
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 0, content.slice(..10))).await;
    put(&node, runs(&upload, &Bytes::from(vec![7; SIZE]), TAIL, SIZE))
        .await
        .unwrap();
    stream.send(chunk(&upload, 10, content.slice(10..))).await;
    let done = stream.end().await.unwrap();
    assert_eq!((done.state(), done.tail_offset), (UploadState::Complete, None));
    assert_eq!(node.get(&upload.id).await.tail_offset, None);
    assert_eq!(
        (node.stored(&upload.id).await, tails(&node).await),
        (content.to_vec(), 0)
    );
}

/// On disk, where a draft can be seen.
#[tokio::test]
async fn of_two_that_send_a_tail_at_once_the_later_one_goes_on() {
    let (node, content) = (Node::start(At::Disk).await, content(SIZE));
    let upload = node.create(Some(SIZE)).await;
    let all = runs(&upload, &content, TAIL, 7000);
    let (messages, receiver) = tokio::sync::mpsc::channel(1);
    let mut client = node.client.clone();
    let stuck = tokio::spawn(async move { client.put_upload_tail(ReceiverStream::new(receiver)).await });
    messages.send(all[0].clone()).await.unwrap();
    until(async || tails(&node).await == 1).await;
    put(&node, all).await.unwrap();
    let ended = patient(stuck).await.unwrap();
    refused(ended.map_err(failure).map(drop), Reason::WriterSuperseded);
    assert_eq!(tails(&node).await, 1, "one draft at a time");
}

async fn every_mistake_has_a_reason_and_leaves_nothing(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let upload = node.create(Some(SIZE)).await;
    let good = runs(&upload, &content, TAIL, 10_000);
    let changed = |idx: usize, change: &dyn Fn(&mut PutUploadTailRequest)| {
        let mut runs = good.clone();
        change(&mut runs[idx]);
        runs
    };
    let cases = [
        (vec![], Reason::FieldInvalid),
        (changed(0, &|run| run.upload_id.clear()), Reason::FieldInvalid),
        (
            changed(1, &|run| run.upload_id = "upl_other".into()),
            Reason::FieldInvalid,
        ),
        (changed(2, &|run| run.data.clear()), Reason::FieldInvalid),
        (changed(0, &|run| run.offset = 0), Reason::FieldInvalid),
        (changed(0, &|run| run.offset = -1), Reason::FieldInvalid),
        (changed(0, &|run| run.offset = 100_000), Reason::SizeExceeded),
        (changed(1, &|run| run.offset += 1), Reason::OffsetMismatch),
        (
            changed(3, &|run| run.data = vec![0; 10_001].into()),
            Reason::SizeExceeded,
        ),
        (
            changed(0, &|run| run.data = vec![0; limits::CHUNK_BYTES_MAX + 1].into()),
            Reason::ChunkTooLarge,
        ),
        (good[..3].to_vec(), Reason::SizeMismatch),
    ];
    for (runs, reason) in cases {
        refused(put(&node, runs).await, reason);
    }
    assert_eq!((tails(&node).await, node.get(&upload.id).await.tail_offset), (0, None));
    put(&node, good).await.unwrap();
    refused(
        put(&node, runs(&upload, &content, TAIL + 1, SIZE)).await,
        Reason::TailUnusable,
    );
    assert_eq!(tails(&node).await, 1);
}

async fn only_a_whole_file_of_known_length_takes_a_tail(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let partial = CreateUploadRequest {
        size_bytes: Some(100_000),
        partial: true,
        ..Default::default()
    };
    for upload in [node.create(None).await, node.create_with(partial).await.unwrap()] {
        refused(
            put(&node, runs(&upload, &content, TAIL, SIZE)).await,
            Reason::TailUnusable,
        );
    }
    let large = node.create(Some(1 << 30)).await;
    let too_long = PutUploadTailRequest {
        upload_id: large.id,
        offset: (1 << 30) - i64::try_from(limits::TAIL_BYTES_MAX).unwrap() - 1,
        data: content.slice(..1),
    };
    let failure = refused(put(&node, vec![too_long]).await, Reason::SizeExceeded);
    assert!(failure.metadata.contains_key("tailBytesMax"), "{failure}");
    let unknown = v1::Upload {
        id: reelway_domain::UploadId::new().to_string(),
        ..Default::default()
    };
    refused(
        put(&node, runs(&unknown, &content, TAIL, SIZE)).await,
        Reason::UploadNotFound,
    );
    let given_up = with_tail(&node, &content).await;
    node.abort(&given_up.id).await.unwrap();
    assert_eq!(tails(&node).await, 0, "it goes with the upload");
    refused(
        put(&node, runs(&given_up, &content, TAIL, SIZE)).await,
        Reason::UploadAborted,
    );
}

async fn a_grant_is_good_for_the_tail_of_its_upload_alone(at: At) {
    let (node, content) = (Node::start(at).await, content(SIZE));
    let (granted, other) = (node.create(Some(SIZE)).await, node.create(Some(SIZE)).await);
    let row = node.row(&granted.id).await;
    let grant = UploadGrant {
        upload: row.id,
        size: row.size,
        content_type: row.content_type,
        expires_at: Timestamp(i64::MAX),
    };
    let holder = Identity {
        access: Access::Grant(grant),
        ..Identity::anybody()
    };
    let mut client = node.client_of(holder).await;
    client
        .put_upload_tail(tokio_stream::iter(runs(&granted, &content, TAIL, SIZE)))
        .await
        .unwrap();
    let refusal = client
        .put_upload_tail(tokio_stream::iter(runs(&other, &content, TAIL, SIZE)))
        .await;
    assert_eq!(failure(refusal.unwrap_err()).reason, Reason::UploadNotFound);
}
