use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::header::AUTHORIZATION;
use reelway_catalog::{Catalog, NewApiKey};
use reelway_domain::{Reason, Tenant, Timestamp, UploadId};
use tempfile::TempDir;
use tonic::{Status, body::Body};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{AuthSettings, FreshApiKey, Scope, SigningKeys, UploadGrant};

const WRITE: &str = "/reelway.v1.UploadService/WriteUpload";
const CREATE: &str = "/reelway.v1.UploadService/CreateUpload";

/// What a service behind the layer was called with: the identity, or the reason of the refusal.
async fn call(auth: &Auth, method: &str, authorization: Option<&str>) -> Result<Identity, Reason> {
    let called_by = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&called_by);
    let service = service_fn(move |request: Request<Body>| {
        *seen.lock().unwrap() = Identity::of(request.extensions()).ok().cloned();
        async { Ok::<_, Infallible>(Response::new(Body::default())) }
    });
    let mut request = Request::builder().uri(format!("http://h{method}"));
    if let Some(text) = authorization {
        request = request.header(AUTHORIZATION, text);
    }
    let answered = auth
        .layer()
        .layer(service)
        .oneshot(request.body(Body::default()).unwrap())
        .await;
    let status = Status::from_header_map(answered.unwrap().headers());
    let called_by = called_by.lock().unwrap().take();
    match status {
        None => Ok(called_by.expect("it was called with an identity")),
        Some(status) => {
            assert_eq!(called_by, None, "who is refused doesn't come through");
            Err(reelway_rpc::from_status(&status).expect("a failure").reason)
        }
    }
}

/// A judge who asks everybody, and the key of a tenant that may look at uploads.
async fn strict() -> (Auth, String, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&format!("sqlite://{}/c", dir.path().display()))
        .await
        .unwrap();
    catalog.migrate().await.unwrap();
    let key = FreshApiKey::generate();
    let new = NewApiKey {
        id: key.id,
        tenant: Tenant::named("acme").unwrap(),
        name: String::new(),
        secret_sha256: key.secret_sha256,
        scopes: vec![Scope::UploadsRead.to_string()],
        lifetime: None,
    };
    catalog.create_api_key(&new).await.unwrap();
    let settings = AuthSettings {
        keys: SigningKeys::random(),
        jwt: None,
    };
    (
        Auth::new(settings, catalog).unwrap(),
        format!("Bearer {}", key.text),
        dir,
    )
}

#[tokio::test]
async fn where_nobody_is_asked_everybody_may_do_everything() {
    for shown in [None, Some("Bearer rwk_nonsense")] {
        assert_eq!(call(&Auth::open(), CREATE, shown).await, Ok(Identity::anybody()));
    }
    assert!(Auth::open().is_open());
}

#[tokio::test]
async fn a_key_comes_as_far_as_its_scopes() {
    let (auth, key, _dir) = strict().await;
    let caller = call(&auth, "/reelway.v1.UploadService/ListUploads", Some(&key))
        .await
        .unwrap();
    assert_eq!(caller.tenant.as_str(), "acme");
    assert_eq!(call(&auth, CREATE, Some(&key)).await, Err(Reason::PermissionMissing));
    assert_eq!(call(&auth, CREATE, None).await, Err(Reason::CredentialsMissing));
    assert_eq!(
        call(&auth, CREATE, Some(&key[..key.len() - 1])).await,
        Err(Reason::CredentialsInvalid)
    );
    let unknown = call(&auth, "/reelway.v1.UploadService/Unknown", Some(&key)).await;
    assert_eq!(unknown, Err(Reason::FeatureUnavailable));
    assert!(!auth.is_open());
}

#[tokio::test]
async fn a_token_is_nothing_where_no_issuer_is_known() {
    let (auth, _, _dir) = strict().await;
    let unsigned = "Bearer eyJhbGciOiJub25lIn0.eyJ0ZW5hbnQiOiJhY21lIn0.";
    assert_eq!(
        call(&auth, CREATE, Some(unsigned)).await,
        Err(Reason::CredentialsInvalid)
    );
}

#[tokio::test]
async fn a_grant_comes_as_far_as_its_upload() {
    let (auth, _, _dir) = strict().await;
    let grant = |ms| UploadGrant {
        upload: UploadId::new(),
        size: Some(1),
        content_type: String::new(),
        expires_at: Timestamp(crate::auth::now().0 + ms),
    };
    let tenant = Tenant::named("acme").unwrap();
    let (good, over) = (grant(60_000), grant(-60_000));
    let shown = |grant| format!("Bearer {}", auth.sign_grant(&tenant, grant));
    let caller = call(&auth, WRITE, Some(&shown(&good))).await.unwrap();
    assert_eq!(caller.tenant, tenant);
    assert_eq!(caller.require_upload(good.upload, Scope::UploadsWrite), Ok(()));
    assert_eq!(
        call(&auth, CREATE, Some(&shown(&good))).await,
        Err(Reason::PermissionMissing)
    );
    assert_eq!(
        call(&auth, WRITE, Some(&shown(&over))).await,
        Err(Reason::CredentialsInvalid)
    );
}
