//! How uploads come to their end.

use bytes::Bytes;
use reelway::v1::{self, CreateUploadRequest, UploadState};
use reelway_domain::Reason;
use sha2::{Digest as _, Sha256};

use super::{harness::*, on_both};

on_both!(
    a_length_that_becomes_known_by_finish,
    a_length_that_becomes_known_by_complete_upload,
    finishing_below_the_length_keeps_the_bytes,
    a_digest_is_verified_in_one_go_and_after_a_resume,
    other_bytes_than_promised_fail_the_upload,
    racing_completes_agree,
);

async fn a_length_that_becomes_known_by_finish(at: At) {
    let node = Node::start(at).await;
    let content = content(1000);
    let upload = node.create(None).await;
    let messages = vec![
        chunk(&upload, 0, content.slice(..600)),
        finish(chunk(&upload, 600, content.slice(600..))),
    ];
    let complete = node.write(messages).await.unwrap();
    assert_eq!(
        (complete.state(), complete.size_bytes),
        (UploadState::Complete, Some(1000))
    );
    assert!(node.stored(&upload.id).await == content);
}

async fn a_length_that_becomes_known_by_complete_upload(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    node.write(vec![chunk(&upload, 0, content(1000))]).await.unwrap();
    for wrong in [999, 1001] {
        let failure = refused(node.complete(&upload.id, wrong).await, Reason::SizeMismatch);
        assert_eq!(
            (failure.metadata["sizeBytes"].as_str(), durable(&failure)),
            (wrong.to_string().as_str(), 1000)
        );
    }
    refused(node.complete(&upload.id, -1).await, Reason::FieldInvalid);
    let complete = node.complete(&upload.id, 1000).await.unwrap();
    assert_eq!(
        (complete.state(), complete.size_bytes),
        (UploadState::Complete, Some(1000))
    );
    assert_eq!(
        node.complete(&upload.id, 1000).await.unwrap(),
        complete,
        "again is fine"
    );
    refused(node.complete(&upload.id, 999).await, Reason::SizeMismatch);
}

async fn finishing_below_the_length_keeps_the_bytes(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(100)).await;
    let failure = refused(
        node.write(vec![finish(chunk(&upload, 0, content(60)))]).await,
        Reason::SizeMismatch,
    );
    assert_eq!(
        (failure.metadata["promisedSizeBytes"].as_str(), durable(&failure)),
        ("100", 60)
    );
    refused(node.complete(&upload.id, 60).await, Reason::SizeMismatch);
    let rest = content(100).slice(60..);
    assert_eq!(
        node.write(vec![chunk(&upload, 60, rest)]).await.unwrap().state(),
        UploadState::Complete
    );
}

#[tokio::test]
async fn bytes_that_were_never_acknowledged_are_cut_off() {
    let node = Node::start(At::Disk).await;
    let upload = node.create(None).await;
    node.write(vec![chunk(&upload, 0, "abc")]).await.unwrap();
    // As a killed process leaves it: written, but not recorded.
    std::fs::write(node.path(&upload.id), "abcdef").unwrap();
    node.complete(&upload.id, 3).await.unwrap();
    assert_eq!(node.stored(&upload.id).await, b"abc");
}

#[tokio::test]
async fn a_whole_file_that_was_not_completed_is_completed_by_the_next_writer() {
    let node = Node::start(At::Disk).await;
    let upload = node.create(Some(3)).await;
    let (tenant, id) = (reelway_domain::Tenant::single(), upload.id.parse().unwrap());
    // As a process leaves it that is killed between the last commit and the completion.
    std::fs::write(node.path(&upload.id), "abc").unwrap();
    let reelway_catalog::Opened::Writer(row) = node
        .catalog
        .open_writer(&tenant, id, node.store.writer_id())
        .await
        .unwrap()
    else {
        panic!("not receiving")
    };
    let expiry = crate::Settings::default().expiry;
    node.catalog
        .commit_offset(id, row.writer_epoch, reelway_domain::Offset(3), expiry)
        .await
        .unwrap();
    assert_eq!(
        node.write(vec![chunk(&upload, 3, "")]).await.unwrap().state(),
        UploadState::Complete
    );
}

async fn with_digest(node: &Node, content: &Bytes) -> v1::Upload {
    let request = CreateUploadRequest {
        size_bytes: Some(i64::try_from(content.len()).unwrap()),
        expected_sha256: Bytes::copy_from_slice(&Sha256::digest(content)),
        ..Default::default()
    };
    node.create_with(request).await.unwrap()
}

async fn a_digest_is_verified_in_one_go_and_after_a_resume(at: At) {
    let node = Node::start(at).await;
    let content = content(3 * MIB + 5);
    let upload = with_digest(&node, &content).await;
    let complete = node.write(chunks(&upload, &content, 0, MIB)).await.unwrap();
    assert_eq!(complete.state(), UploadState::Complete);
    let upload = with_digest(&node, &content).await;
    node.write(chunks(&upload, &content.slice(..MIB), 0, MIB))
        .await
        .unwrap();
    let complete = node.write(chunks(&upload, &content, MIB / 2, MIB)).await.unwrap();
    assert_eq!(complete.state(), UploadState::Complete);
}

async fn other_bytes_than_promised_fail_the_upload(at: At) {
    let node = Node::start(at).await;
    let promised = content(1000);
    let mut sent = promised.to_vec();
    sent[500] ^= 1;
    let sent = Bytes::from(sent);
    for begin in [0, 400] {
        let upload = with_digest(&node, &promised).await;
        if begin > 0 {
            node.write(vec![chunk(&upload, 0, sent.slice(..begin))]).await.unwrap();
        }
        let written = node.write(vec![chunk(&upload, begin, sent.slice(begin..))]).await;
        let failure = refused(written, Reason::FileChecksumMismatch);
        let hex = |bytes: &[u8]| crate::hash::hex(&Sha256::digest(bytes).into());
        assert_eq!(failure.metadata["expectedSha256"], hex(&promised));
        assert_eq!(failure.metadata["actualSha256"], hex(&sent));
        let failed = node.get(&upload.id).await;
        assert_eq!(failed.state(), UploadState::Failed);
        assert_eq!(failed.error.unwrap().reason, "FILE_CHECKSUM_MISMATCH");
        assert!(node.is_freed(&upload.id).await, "its bytes are freed");
        assert_eq!(node.catalog.uploads_to_free(10).await.unwrap(), []);
        refused(
            node.write(vec![chunk(&upload, 0, promised.clone())]).await,
            Reason::UploadFailed,
        );
        refused(node.abort(&upload.id).await, Reason::UploadFailed);
    }
}

async fn racing_completes_agree(at: At) {
    let node = Node::start(at).await;
    for _ in 0..20 {
        let upload = node.create(None).await;
        node.write(vec![chunk(&upload, 0, "abc")]).await.unwrap();
        let results = tokio::join!(node.complete(&upload.id, 3), node.complete(&upload.id, 3));
        let results = [results.0, results.1];
        for result in &results {
            match result {
                Ok(upload) => assert_eq!(upload.state(), UploadState::Complete),
                Err(failure) => assert_eq!(failure.reason, Reason::WriterSuperseded),
            }
        }
        assert!(results.iter().any(Result::is_ok), "{results:?}");
        assert_eq!(node.get(&upload.id).await.state(), UploadState::Complete);
    }
}
