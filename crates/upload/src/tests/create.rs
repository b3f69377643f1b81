//! CreateUpload, GetUpload, ListUploads, AbortUpload.

use std::collections::HashSet;

use reelway::v1::{AbortUploadRequest, CreateUploadRequest, ListUploadsRequest, UploadState};
use reelway_catalog::JobFilter;
use reelway_domain::{Reason, Tenant, UploadId, limits};
use tonic::Code;

use super::{harness::*, on_both};

on_both!(
    an_upload_and_its_job,
    all_wrong_fields_are_named,
    a_request_id_makes_one_upload,
    zero_bytes_are_complete_at_once,
    lists_go_on_page_by_page,
    unknown_uploads_are_not_found,
    an_aborted_upload_is_gone,
);

fn request() -> CreateUploadRequest {
    CreateUploadRequest {
        size_bytes: Some(10),
        file_name: "a b.mp4".into(),
        content_type: "video/mp4".into(),
        metadata: (0..8).map(|i| (format!("k{i}"), "v".to_owned())).collect(),
        expected_sha256: vec![7; 32].into(),
        ..Default::default()
    }
}

async fn an_upload_and_its_job(at: At) {
    let node = Node::start(at).await;
    let mut client = node.client.clone();
    let answer = client.create_upload(request()).await.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.chunk_bytes_max), Ok(limits::CHUNK_BYTES_MAX));
    let upload = answer.upload.unwrap();
    assert_eq!(upload.state(), UploadState::Receiving);
    assert_eq!((upload.size_bytes, upload.durable_offset), (Some(10), 0));
    assert_eq!((upload.metadata.len(), upload.expected_sha256.len()), (8, 32));
    assert!(upload.job_id.starts_with("job_"));
    assert_eq!(node.get(&upload.id).await, upload);
    assert_eq!(
        node.is_freed(&upload.id).await,
        at == At::Bucket,
        "a disk has a file for it, a bucket nothing yet"
    );
    let stored_only = CreateUploadRequest {
        preset: "none".into(),
        ..request()
    };
    assert_eq!(node.create_with(stored_only).await.unwrap().job_id, "");
}

async fn all_wrong_fields_are_named(at: At) {
    let node = Node::start(at).await;
    let wrong = CreateUploadRequest {
        priority: 0,
        source_action: 0,
        size_bytes: Some(-1),
        file_name: "x".repeat(limits::FILE_NAME_BYTES_MAX + 1),
        content_type: "a\0b".into(),
        metadata: [("k".to_owned(), "v".repeat(limits::METADATA_BYTES_MAX))].into(),
        expected_sha256: vec![1; 31].into(),
        request_id: "1".into(),
        preset: "slow".into(),
        webhook_url: Some("https://me@hooks.example/".into()),
        client_state: "x".repeat(limits::CLIENT_STATE_BYTES_MAX + 1),
        partial: false,
        part_upload_ids: vec!["upl_1".into()],
    };
    let failure = refused(node.create_with(wrong).await, Reason::FieldInvalid);
    let fields: HashSet<&str> = failure.violations.iter().map(|v| v.field.as_str()).collect();
    let all = [
        "size_bytes",
        "file_name",
        "content_type",
        "client_state",
        "part_upload_ids[0]",
        "webhook_url",
        "metadata",
        "expected_sha256",
        "request_id",
        "preset",
    ];
    assert_eq!(fields, all.into());
    assert!(
        failure.message.contains("quality"),
        "the known presets are named: {}",
        failure.message
    );
    assert_eq!(node.uploads().await, [], "nothing was made");
}

async fn a_request_id_makes_one_upload(at: At) {
    let node = Node::start(at).await;
    let request = CreateUploadRequest {
        request_id: "0198c0de-0000-7000-8000-000000000001".into(),
        ..request()
    };
    let first = node.create_with(request.clone()).await.unwrap();
    let again = node.create_with(request.clone()).await.unwrap();
    assert_eq!(first, again);
    let other = CreateUploadRequest {
        size_bytes: Some(11),
        ..request
    };
    refused(node.create_with(other).await, Reason::RequestIdReused);
    assert!(node.uploads().await.len() <= 1, "no file is left over");
}

async fn zero_bytes_are_complete_at_once(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(0)).await;
    assert_eq!((upload.state(), upload.durable_offset), (UploadState::Complete, 0));
    assert!(upload.complete_time.is_some());
    let jobs = node
        .catalog
        .list_jobs(&Tenant::single(), &JobFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].event_seq.0 > 0, "the job was told");
}

async fn lists_go_on_page_by_page(at: At) {
    let node = Node::start(at).await;
    let mut made = Vec::new();
    for size in [Some(1), Some(0), None, Some(3), Some(0)] {
        made.push(node.create(size).await.id);
    }
    made.reverse();
    let mut client = node.client.clone();
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListUploadsRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = client.list_uploads(request).await.unwrap().into_inner();
        assert!(page.uploads.len() <= 2);
        listed.extend(page.uploads.into_iter().map(|upload| upload.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, made, "newest first, each once");
    let complete = ListUploadsRequest {
        state: UploadState::Complete.into(),
        page_size: 1,
        ..Default::default()
    };
    let page = client.list_uploads(complete).await.unwrap().into_inner();
    assert_eq!(page.uploads[0].id, made[0]);
    let other_filter = ListUploadsRequest {
        page_token: page.next_page_token,
        ..Default::default()
    };
    let status = client.list_uploads(other_filter).await.unwrap_err();
    assert_eq!(failure(status).reason, Reason::PageTokenInvalid);
}

async fn unknown_uploads_are_not_found(at: At) {
    let node = Node::start(at).await;
    let id = UploadId::new().to_string();
    let status = node.client.clone().get_upload(get(&id, false)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(failure(status).metadata["uploadId"], id);
    let status = node.client.clone().get_upload(get("upl_1", false)).await.unwrap_err();
    assert_eq!(failure(status).reason, Reason::FieldInvalid);
    refused(node.abort(&id).await, Reason::UploadNotFound);
    refused(node.complete(&id, 0).await, Reason::UploadNotFound);
}

async fn an_aborted_upload_is_gone(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(10)).await;
    node.write(vec![chunk(&upload, 0, content(4))]).await.unwrap();
    let aborted = node.abort(&upload.id).await.unwrap();
    assert_eq!(aborted.state(), UploadState::Aborted);
    assert!(node.is_freed(&upload.id).await, "its bytes are freed");
    assert_eq!(node.catalog.uploads_to_free(10).await.unwrap(), []);
    assert_eq!(node.abort(&upload.id).await.unwrap(), aborted, "again is fine");
    refused(
        node.write(vec![chunk(&upload, 4, content(1))]).await,
        Reason::UploadAborted,
    );
    refused(node.complete(&upload.id, 4).await, Reason::UploadAborted);
    let complete = node.create(Some(0)).await;
    refused(node.abort(&complete.id).await, Reason::UploadComplete);
    let request = AbortUploadRequest {
        upload_id: complete.id.clone(),
        also_complete: true,
    };
    node.client.clone().abort_upload(request).await.unwrap();
    assert!(
        node.is_freed(&complete.id).await,
        "if it is said, also a complete one is"
    );
    assert_eq!(node.get(&complete.id).await.state(), UploadState::Aborted);
}

#[tokio::test]
async fn a_receiver_of_webhooks_needs_a_secret() {
    let url = "https://hooks.example/told";
    let request = CreateUploadRequest {
        webhook_url: Some(url.into()),
        ..request()
    };
    let node = Node::start(At::Disk).await;
    refused(node.create_with(request.clone()).await, Reason::FeatureUnavailable);
    let settings = crate::Settings {
        webhooks: true,
        ..crate::Settings::default()
    };
    let node = Node::with(At::Disk, settings).await;
    let upload = node.create_with(request.clone()).await.unwrap();
    assert_eq!(node.row(&upload.id).await.webhook_url.as_deref(), Some(url));
    for wrong in [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "https://me:pw@hooks.example/",
    ] {
        let webhook_url = Some(wrong.to_owned());
        let created = node.create_with(CreateUploadRequest {
            webhook_url,
            ..request.clone()
        });
        let failure = refused(created.await, Reason::FieldInvalid);
        assert_eq!(failure.violations[0].field, "webhook_url", "{wrong:?}");
    }
}
