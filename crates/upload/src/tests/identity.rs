//! Who may do what, and what a tenant learns of another one's uploads: nothing.

use reelway::v1::{self, ListUploadsRequest, UploadState};
use reelway_auth::{Access, Identity, Scope, UploadGrant};
use reelway_domain::{Failure, Reason, Tenant, Timestamp, UploadId};
use tonic::transport::Channel;

use super::{harness::*, on_both};

on_both!(
    another_tenants_upload_is_as_unknown_as_any,
    scopes_are_needed,
    a_grant_writes_its_upload_as_it_was_signed,
    a_length_that_was_not_known_when_the_grant_was_signed_may_be_named,
);

type Client = reelway::v1::upload_service_client::UploadServiceClient<Channel>;

fn other_tenant() -> Identity {
    Identity {
        tenant: Tenant::stored("other".into()),
        ..Identity::anybody()
    }
}

fn scoped(scopes: &[Scope]) -> Identity {
    Identity {
        access: Access::Scoped(scopes.iter().copied().collect()),
        ..Identity::anybody()
    }
}

fn granted(upload: &v1::Upload) -> UploadGrant {
    UploadGrant {
        upload: upload.id.parse().unwrap(),
        size: upload.size_bytes,
        content_type: upload.content_type.clone(),
        expires_at: Timestamp(i64::MAX),
    }
}

/// What each method that names an upload answers about it.
async fn all_about(client: &Client, upload_id: &str) -> Vec<Result<(), Failure>> {
    let upload_id = || upload_id.to_owned();
    let first = || v1::UploadChunk {
        upload_id: upload_id(),
        data: "abc".into(),
        ..Default::default()
    };
    let write = v1::WriteUploadRequest { chunk: Some(first()) };
    let stream = v1::StreamUploadRequest { chunk: Some(first()) };
    let complete = v1::CompleteUploadRequest {
        upload_id: upload_id(),
        size_bytes: 3,
    };
    let grant = v1::CreateUploadGrantRequest {
        upload_id: upload_id(),
        lifetime: None,
    };
    let abort = v1::AbortUploadRequest {
        upload_id: upload_id(),
        ..Default::default()
    };
    let tail = v1::PutUploadTailRequest {
        upload_id: upload_id(),
        offset: 1,
        data: "bc".into(),
    };
    let create_parts = v1::CreateUploadPartsRequest {
        upload_id: upload_id(),
        ..Default::default()
    };
    let report_parts = v1::ReportUploadPartsRequest {
        upload_id: upload_id(),
        ..Default::default()
    };
    let (mut one, mut two) = (client.clone(), client.clone());
    let streamed = async {
        let mut answers = one.stream_upload(tokio_stream::iter([stream])).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    };
    let mut all = vec![streamed.await];
    all.push(two.get_upload(get(&upload_id(), false)).await.map(drop));
    all.push(two.get_upload(get(&upload_id(), true)).await.map(drop));
    all.push(two.write_upload(tokio_stream::iter([write])).await.map(drop));
    all.push(two.put_upload_tail(tokio_stream::iter([tail])).await.map(drop));
    all.push(two.create_upload_grant(grant).await.map(drop));
    all.push(two.create_upload_parts(create_parts).await.map(drop));
    all.push(two.report_upload_parts(report_parts).await.map(drop));
    all.push(two.complete_upload(complete).await.map(drop));
    all.push(two.abort_upload(abort).await.map(drop));
    all.into_iter().map(|answer| answer.map_err(failure)).collect()
}

async fn another_tenants_upload_is_as_unknown_as_any(at: At) {
    let node = Node::start(at).await;
    let theirs = node.create(Some(10)).await;
    let complete = node.create(Some(0)).await;
    let client = node.client_of(other_tenant()).await;
    let without_id = |answers: Vec<Result<(), Failure>>| -> Vec<(Reason, String)> {
        let failures = answers.into_iter().map(Result::unwrap_err);
        failures
            .map(|failure| (failure.reason, failure.message.clone()))
            .collect()
    };
    let unknown = without_id(all_about(&client, &UploadId::new().to_string()).await);
    assert!(
        unknown.iter().all(|(reason, _)| *reason == Reason::UploadNotFound),
        "{unknown:?}"
    );
    for upload in [&theirs, &complete] {
        assert_eq!(without_id(all_about(&client, &upload.id).await), unknown);
        assert_eq!(node.get(&upload.id).await, *upload, "and nothing happened to it");
    }
    let listed = client
        .clone()
        .list_uploads(ListUploadsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().uploads, []);
    let part = v1::CreateUploadRequest {
        partial: true,
        ..Default::default()
    };
    let part = node.create_with(part).await.unwrap();
    let join = |id: String| v1::CreateUploadRequest {
        part_upload_ids: vec![id],
        ..Default::default()
    };
    for id in [part.id, UploadId::new().to_string()] {
        let status = client.clone().create_upload(join(id.clone())).await.unwrap_err();
        let refused = failure(status);
        assert_eq!(
            (refused.reason, &refused.metadata["partUploadId"]),
            (Reason::PartUnusable, &id)
        );
    }
}

async fn scopes_are_needed(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(Some(10)).await;
    let reader = node.client_of(scoped(&[Scope::UploadsRead])).await;
    let reasons = |answers: Vec<Result<(), Failure>>| -> Vec<Option<Reason>> {
        answers
            .into_iter()
            .map(|answer| answer.err().map(|failure| failure.reason))
            .collect()
    };
    let missing = Some(Reason::PermissionMissing);
    let may = reasons(all_about(&reader, &upload.id).await);
    assert_eq!(
        may,
        [
            missing, None, missing, missing, missing, missing, missing, missing, missing, missing
        ],
        "only GetUpload"
    );
    let nobody = node.client_of(scoped(&[Scope::JobsRead, Scope::JobsWrite])).await;
    assert_eq!(reasons(all_about(&nobody, &upload.id).await), [missing; 10]);
    for client in [reader.clone(), nobody] {
        let created = client.clone().create_upload(v1::CreateUploadRequest::default()).await;
        assert_eq!(failure(created.unwrap_err()).reason, Reason::PermissionMissing);
    }
    assert_eq!(node.get(&upload.id).await, upload);
}

async fn a_grant_writes_its_upload_as_it_was_signed(at: At) {
    let node = Node::start(at).await;
    let (mine, other) = (node.create(Some(3)).await, node.create(Some(3)).await);
    let with = |grant: UploadGrant| Identity {
        access: Access::Grant(grant),
        ..Identity::anybody()
    };
    let client = node.client_of(with(granted(&mine))).await;
    let on_other = all_about(&client, &other.id).await;
    // What grants are no good for at all doesn't depend on the upload.
    let expected = [Reason::UploadNotFound; 10];
    for (answer, not_found) in on_other.into_iter().zip(expected) {
        let reason = answer.unwrap_err().reason;
        assert!(reason == not_found || reason == Reason::PermissionMissing, "{reason}");
    }
    for differs in [
        UploadGrant {
            size: Some(4),
            ..granted(&mine)
        },
        UploadGrant {
            content_type: "text/html".into(),
            ..granted(&mine)
        },
    ] {
        let client = node.client_of(with(differs)).await;
        let request = v1::WriteUploadRequest {
            chunk: Some(chunk(&mine, 0, "abc")),
        };
        let status = client
            .clone()
            .write_upload(tokio_stream::iter([request]))
            .await
            .unwrap_err();
        assert_eq!(failure(status).reason, Reason::PermissionMissing);
    }
    assert_eq!(node.get(&mine.id).await.durable_offset, 0);
    let request = v1::WriteUploadRequest {
        chunk: Some(chunk(&mine, 0, "abc")),
    };
    let done = client
        .clone()
        .write_upload(tokio_stream::iter([request]))
        .await
        .unwrap();
    assert_eq!(done.into_inner().upload.unwrap().state(), UploadState::Complete);
    let read = client.clone().get_upload(get(&mine.id, true)).await.unwrap();
    assert_eq!(read.into_inner().upload.unwrap().durable_offset, 3);
}

async fn a_length_that_was_not_known_when_the_grant_was_signed_may_be_named(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let identity = Identity {
        access: Access::Grant(granted(&upload)),
        ..Identity::anybody()
    };
    let client = node.client_of(identity).await;
    let first = v1::UploadChunk {
        size_bytes: Some(6),
        ..chunk(&upload, 0, "abc")
    };
    for first in [first, chunk(&upload, 3, "def")] {
        let request = v1::WriteUploadRequest { chunk: Some(first) };
        client
            .clone()
            .write_upload(tokio_stream::iter([request]))
            .await
            .unwrap();
    }
    assert_eq!(node.get(&upload.id).await.state(), UploadState::Complete);
}
