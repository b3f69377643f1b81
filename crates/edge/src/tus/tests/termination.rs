//! termination.

use reelway_domain::{JobState, UploadState};

use super::*;
use crate::testing::{content, until, wire::Wire};

on_both!(
    tm1_tm2_unfinished_and_complete_uploads_are_deleted,
    tm1_the_job_of_a_deleted_upload_is_cancelled,
    tm3_what_never_was_is_not_found,
    tm4_a_running_patch_ends,
);

async fn tm1_tm2_unfinished_and_complete_uploads_are_deleted(at: At) {
    let node = Node::start_at(at).await;
    for length in [6, 3] {
        let path = created(&node, length).await;
        appended(&node, &path, 0, b"abc").await;
        assert!(node.keeps(id(&path)).await);
        assert_eq!(send(&node, "DELETE", &path, &[], b"").await.status, 204);
        until(async || !node.keeps(id(&path)).await).await;
        assert_eq!(head(&node, &path).await.status, 410);
        assert_eq!(patch(&node, &path, 3, b"abc").await.status, 410);
        assert_eq!(send(&node, "DELETE", &path, &[], b"").await.status, 410);
    }
}

async fn tm1_the_job_of_a_deleted_upload_is_cancelled(at: At) {
    let node = Node::start_at(at).await;
    let headers = [OCTETS, ("Upload-Length", "3")];
    let answer = send(&node, "POST", "/files/", &headers, b"abc").await;
    let row = node.upload(&answer.id()).await;
    assert_eq!(row.state, UploadState::Complete);
    assert_eq!(send(&node, "DELETE", &answer.location(), &[], b"").await.status, 204);
    let job = node.catalog.job(&row.tenant, row.job.unwrap()).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Cancelled);
}

async fn tm3_what_never_was_is_not_found(at: At) {
    let node = Node::start_at(at).await;
    let unknown = format!("/files/{}", reelway_domain::UploadId::new());
    assert_eq!(send(&node, "DELETE", &unknown, &[], b"").await.status, 404);
}

async fn tm4_a_running_patch_ends(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 1 << 20).await;
    let mut wire = Wire::connect(node.address).await;
    let headers = [TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", "1048576")];
    wire.head("PATCH", &path, &headers).await;
    wire.write(&content(200_000)).await;
    until(async || node.upload(id(&path)).await.writer_epoch.0 == 1).await;
    assert_eq!(send(&node, "DELETE", &path, &[], b"").await.status, 204);
    assert_eq!(wire.answer("PATCH").await.status, 410);
    assert_eq!(head(&node, &path).await.status, 410);
}
