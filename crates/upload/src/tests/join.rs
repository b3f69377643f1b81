//! Uploads that are put together from others.

use bytes::Bytes;
use reelway::v1::{self, CreateUploadRequest, UploadState};
use reelway_catalog::{Limit, NewLimits};
use reelway_domain::{Reason, Tenant};
use sha2::{Digest as _, Sha256};

use super::{harness::*, on_both};

on_both!(
    parts_of_odd_sizes_are_put_together,
    the_same_part_may_come_several_times,
    what_is_there_is_copied_and_the_rest_is_waited_for,
    no_client_writes_it,
    only_living_partial_uploads_are_parts,
    a_part_taken_twice_counts_twice,
    a_part_that_ends_badly_ends_it,
    other_bytes_than_promised_fail_it,
);

/// A partial upload with these bytes; complete if they are all.
pub(super) async fn part(node: &Node, size: Option<usize>, content: &Bytes) -> v1::Upload {
    let request = CreateUploadRequest {
        size_bytes: size.map(|size| i64::try_from(size).unwrap()),
        partial: true,
        ..Default::default()
    };
    let part = node.create_with(request).await.unwrap();
    if !content.is_empty() {
        node.write(chunks(&part, content, 0, MIB)).await.unwrap();
    }
    part
}

pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a v1::Upload>) -> CreateUploadRequest {
    CreateUploadRequest {
        part_upload_ids: parts.into_iter().map(|part| part.id.clone()).collect(),
        ..Default::default()
    }
}

/// Waits until an upload has ended.
pub(super) async fn ended(node: &Node, id: &str) -> v1::Upload {
    until(async || node.get(id).await.state() != UploadState::Receiving).await;
    node.get(id).await
}

/// The bytes of a complete upload.
pub(super) async fn bytes(node: &Node, id: &str) -> Vec<u8> {
    node.stored(id).await
}

async fn jobs(node: &Node) -> usize {
    let filter = reelway_catalog::JobFilter::default();
    let jobs = node.catalog.list_jobs(&Tenant::single(), &filter, None, 100).await;
    jobs.unwrap().len()
}

async fn parts_of_odd_sizes_are_put_together(at: At) {
    let node = Node::start(at).await;
    let content = content(9 * MIB + 77);
    let cuts = [0, 3 * MIB + 1, 3 * MIB + 1, 8 * MIB + 5, content.len()];
    let mut parts = Vec::new();
    for cut in cuts.windows(2) {
        let piece = content.slice(cut[0]..cut[1]);
        parts.push(part(&node, Some(piece.len()), &piece).await);
    }
    assert_eq!(
        node.get(&parts[1].id).await.state(),
        UploadState::Complete,
        "of length 0"
    );
    assert_eq!(jobs(&node).await, 0, "nothing is made of parts");
    let request = CreateUploadRequest {
        expected_sha256: Bytes::copy_from_slice(&Sha256::digest(&content)),
        client_state: "final".into(),
        ..of(&parts)
    };
    let joined = node.create_with(request).await.unwrap();
    assert_eq!(joined.size_bytes, Some(content.len() as i64), "known at once");
    assert_eq!(
        joined.part_upload_ids,
        parts.iter().map(|part| part.id.clone()).collect::<Vec<_>>()
    );
    assert!((!joined.job_id.is_empty()) && jobs(&node).await == 1);
    assert_eq!(ended(&node, &joined.id).await.state(), UploadState::Complete);
    assert!(bytes(&node, &joined.id).await == content);
    let told = node.get(&joined.id).await;
    assert_eq!((told.client_state.as_str(), told.partial), ("final", false));
    let part = node.get(&parts[0].id).await;
    assert!(
        part.partial && part.expire_time.is_some(),
        "parts stay until they expire"
    );
}

async fn the_same_part_may_come_several_times(at: At) {
    let node = Node::start(at).await;
    let (a, b) = (
        part(&node, None, &Bytes::new()).await,
        part(&node, Some(3), &"xyz".into()).await,
    );
    node.write(vec![finish(chunk(&a, 0, "ab"))]).await.unwrap();
    let joined = node.create_with(of([&a, &b, &a])).await.unwrap();
    assert_eq!(ended(&node, &joined.id).await.size_bytes, Some(7));
    assert_eq!(bytes(&node, &joined.id).await, b"abxyzab");
    let again = node.create_with(of([&b, &b])).await.unwrap();
    ended(&node, &again.id).await;
    assert_eq!(bytes(&node, &again.id).await, b"xyzxyz", "and in several uploads");
}

async fn what_is_there_is_copied_and_the_rest_is_waited_for(at: At) {
    let node = Node::start(at).await;
    let first = part(&node, Some(3), &"abc".into()).await;
    let second = part(&node, None, &"de".into()).await;
    let joined = node.create_with(of([&first, &second])).await.unwrap();
    assert_eq!(joined.size_bytes, None, "not known yet");
    until(async || node.get(&joined.id).await.durable_offset == 3).await;
    let sized = v1::UploadChunk {
        size_bytes: Some(4),
        ..chunk(&second, 2, "f")
    };
    node.write(vec![sized]).await.unwrap();
    until(async || node.get(&joined.id).await.size_bytes == Some(7)).await;
    node.write(vec![chunk(&second, 3, "g")]).await.unwrap();
    assert_eq!(ended(&node, &joined.id).await.state(), UploadState::Complete);
    assert_eq!(bytes(&node, &joined.id).await, b"abcdefg");
}

async fn no_client_writes_it(at: At) {
    let node = Node::start(at).await;
    let waiting = part(&node, Some(3), &Bytes::new()).await;
    let done = part(&node, Some(0), &Bytes::new()).await;
    for part in [&waiting, &done] {
        let joined = node.create_with(of([part])).await.unwrap();
        if *part == done {
            ended(&node, &joined.id).await;
        }
        let before = node.row(&joined.id).await;
        refused(
            node.write(vec![chunk(&joined, 0, "abc")]).await,
            Reason::UploadNotWritable,
        );
        refused(node.complete(&joined.id, 0).await, Reason::UploadNotWritable);
        node.end_writer(&joined.id).await;
        assert_eq!(node.row(&joined.id).await, before);
    }
}

async fn only_living_partial_uploads_are_parts(at: At) {
    let node = Node::start(at).await;
    let whole = node.create(Some(3)).await;
    let aborted = part(&node, Some(3), &Bytes::new()).await;
    node.abort(&aborted.id).await.unwrap();
    let unknown = v1::Upload {
        id: reelway_domain::UploadId::new().to_string(),
        ..whole.clone()
    };
    let good = part(&node, Some(3), &"abc".into()).await;
    let joined = node.create_with(of([&good])).await.unwrap();
    // What the joiner writes must not come between the two counts.
    ended(&node, &joined.id).await;
    let files = node.uploads().await.len();
    for bad in [&whole, &aborted, &unknown, &joined] {
        let failure = refused(node.create_with(of([&good, bad])).await, Reason::PartUnusable);
        assert_eq!(failure.metadata["partUploadId"], bad.id);
    }
    assert_eq!(node.uploads().await.len(), files, "nothing is left of the attempts");
}

async fn a_part_taken_twice_counts_twice(at: At) {
    let node = Node::start(at).await;
    let limits = NewLimits {
        bytes_max: Some(Limit::Max(10)),
        uploads_open_max: None,
    };
    node.catalog.set_limits(&Tenant::single(), limits).await.unwrap();
    let six = part(&node, Some(6), &"abcdef".into()).await;
    refused(node.create_with(of([&six, &six])).await, Reason::QuotaExceeded);
    node.abort(&six.id).await.unwrap();
    let three = part(&node, Some(3), &"abc".into()).await;
    let joined = node.create_with(of([&three, &three])).await.unwrap();
    assert_eq!(ended(&node, &joined.id).await.state(), UploadState::Complete);
    assert_eq!(bytes(&node, &joined.id).await, b"abcabc");
    // A length that isn't known in time: it can't become complete, and isn't tried for ever.
    let late = part(&node, None, &Bytes::new()).await;
    let joined = node.create_with(of([&late, &late, &late])).await.unwrap();
    node.write(vec![finish(chunk(&late, 0, "abc"))]).await.unwrap();
    let failed = ended(&node, &joined.id).await;
    assert_eq!(
        (failed.state(), failed.error.unwrap().reason.as_str()),
        (UploadState::Failed, "QUOTA_EXCEEDED")
    );
}

async fn a_part_that_ends_badly_ends_it(at: At) {
    let node = Node::start(at).await;
    let good = part(&node, Some(3), &"abc".into()).await;
    let waiting = part(&node, Some(3), &Bytes::new()).await;
    let joined = node.create_with(of([&good, &waiting])).await.unwrap();
    refused(node.abort(&good.id).await, Reason::UploadComplete);
    node.abort(&waiting.id).await.unwrap();
    let failed = ended(&node, &joined.id).await;
    assert_eq!(failed.state(), UploadState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(
        (error.reason.as_str(), &error.metadata["partUploadId"]),
        ("PART_UNUSABLE", &waiting.id)
    );
    let job = node
        .catalog
        .job(&Tenant::single(), joined.job_id.parse().unwrap())
        .await;
    assert_eq!(job.unwrap().unwrap().state, reelway_domain::JobState::Failed);
    until(async || node.is_freed(&joined.id).await).await;
    assert_eq!(
        node.abort(&good.id).await.unwrap().state(),
        UploadState::Aborted,
        "nobody needs it now"
    );
}

async fn other_bytes_than_promised_fail_it(at: At) {
    let node = Node::start(at).await;
    let only = part(&node, Some(3), &"abc".into()).await;
    let request = CreateUploadRequest {
        expected_sha256: vec![7; 32].into(),
        ..of([&only])
    };
    let joined = node.create_with(request).await.unwrap();
    let failed = ended(&node, &joined.id).await;
    assert_eq!(failed.error.unwrap().reason, "FILE_CHECKSUM_MISMATCH");
}
