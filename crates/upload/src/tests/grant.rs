//! CreateUploadGrant.

use std::time::{SystemTime, UNIX_EPOCH};

use reelway::v1::{self, CreateUploadGrantRequest, CreateUploadRequest};
use reelway_auth::Auth;
use reelway_domain::Reason;

use super::{harness::*, on_both};
use crate::Settings;

on_both!(a_grant_leads_to_the_upload, only_what_clients_can_write_is_granted,);

fn request(upload: &v1::Upload, seconds: Option<i64>) -> CreateUploadGrantRequest {
    CreateUploadGrantRequest {
        upload_id: upload.id.clone(),
        lifetime: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
    }
}

async fn a_grant_leads_to_the_upload(at: At) {
    let settings = Settings {
        auth: Some(Auth::open()),
        public_url: Some("https://video.example/".into()),
        ..Settings::default()
    };
    let node = Node::with(at, settings).await;
    let upload = node.create(Some(3)).await;
    let mut client = node.client.clone();
    for (asked, seconds) in [(None, 3600), (Some(60), 60), (Some(24 * 3600), 24 * 3600)] {
        let grant = client
            .create_upload_grant(request(&upload, asked))
            .await
            .unwrap()
            .into_inner();
        assert!(grant.token.len() > 20, "{}", grant.token);
        let url = format!("https://video.example/files/{}?access_token={}", upload.id, grant.token);
        assert_eq!(grant.url, url);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let left = grant.expire_time.unwrap().seconds - i64::try_from(now).unwrap();
        assert!((seconds - 10..=seconds).contains(&left), "{left}");
    }
    for wrong in [0, -5, 24 * 3600 + 1] {
        let status = client
            .create_upload_grant(request(&upload, Some(wrong)))
            .await
            .unwrap_err();
        assert_eq!(failure(status).violations[0].field, "lifetime", "{wrong}");
    }
}

async fn only_what_clients_can_write_is_granted(at: At) {
    let settings = Settings {
        auth: Some(Auth::open()),
        ..Settings::default()
    };
    let node = Node::with(at, settings).await;
    let part = node.create_with(CreateUploadRequest {
        partial: true,
        ..Default::default()
    });
    let part = part.await.unwrap();
    let joined = node.create_with(CreateUploadRequest {
        part_upload_ids: vec![part.id.clone()],
        ..Default::default()
    });
    let joined = joined.await.unwrap();
    let aborted = node.create(None).await;
    node.abort(&aborted.id).await.unwrap();
    let cases = [
        (joined, Reason::UploadNotWritable),
        (node.create(Some(0)).await, Reason::UploadComplete),
        (aborted, Reason::UploadAborted),
    ];
    for (upload, reason) in cases {
        let status = node
            .client
            .clone()
            .create_upload_grant(request(&upload, None))
            .await
            .unwrap_err();
        assert_eq!(failure(status).reason, reason);
    }
    let granted = node
        .client
        .clone()
        .create_upload_grant(request(&part, None))
        .await
        .unwrap();
    let url = granted.into_inner().url;
    assert!(
        url.starts_with(&format!("/files/{}?", part.id)),
        "relative to the edge: {url}"
    );
    let without_keys = Node::start(at).await;
    let upload = without_keys.create(None).await;
    let status = without_keys
        .client
        .clone()
        .create_upload_grant(request(&upload, None))
        .await
        .unwrap_err();
    assert_eq!(failure(status).reason, Reason::FeatureUnavailable);
}
