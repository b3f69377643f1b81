//! Keys that callers show.

use std::time::Duration;

use reelway_domain::{ApiKeyId, Tenant, UploadId};

use super::{db::Db, fixture::LONG, on_both};
use crate::{ApiKey, Catalog, Error, NewApiKey, Schema, copy};

on_both!(
    a_key_is_kept_as_it_was_made,
    the_first_revocation_counts,
    a_use_is_noted_once_a_minute,
    a_tenant_comes_into_being_with_its_key,
);

fn new_key(tenant: &str) -> NewApiKey {
    NewApiKey {
        id: ApiKeyId::new(),
        tenant: Tenant::named(tenant).unwrap(),
        name: "ingest".to_owned(),
        secret_sha256: [7; 32],
        scopes: vec!["uploads:write".to_owned(), "jobs:read".to_owned()],
        lifetime: None,
    }
}

async fn found(catalog: &Catalog, id: ApiKeyId) -> ApiKey {
    catalog.api_key(id).await.unwrap().expect("the key")
}

async fn a_key_is_kept_as_it_was_made(db: &Db) {
    let new = NewApiKey {
        lifetime: Some(LONG),
        ..new_key("acme")
    };
    let made = db.catalog.create_api_key(&new).await.unwrap();
    assert_eq!(found(&db.catalog, new.id).await, made);
    assert_eq!(
        (&made.name, &made.scopes, made.secret_sha256),
        (&new.name, &new.scopes, [7; 32])
    );
    assert_eq!((made.revoked_at, made.last_used_at), (None, None));
    let lifetime_ms = made.expires_at.expect("an end").0 - made.created_at.0;
    let asked_ms = i64::try_from(LONG.as_millis()).unwrap();
    assert!((asked_ms..asked_ms + 1000).contains(&lifetime_ms), "{lifetime_ms}");
    assert_eq!(db.catalog.api_key(ApiKeyId::new()).await.unwrap(), None);
    assert!(db.catalog.create_api_key(&new).await.is_err(), "an id names one key");
}

async fn the_first_revocation_counts(db: &Db) {
    let made = db.catalog.create_api_key(&new_key("acme")).await.unwrap();
    let other = db.catalog.create_api_key(&new_key("acme")).await.unwrap();
    let revoked = db.catalog.revoke_api_key(made.id).await.unwrap().expect("the key");
    assert!(revoked.revoked_at >= Some(made.created_at));
    db.raw("UPDATE api_keys SET revoked_at_ms = 5 WHERE revoked_at_ms IS NOT NULL")
        .await
        .unwrap();
    let again = db.catalog.revoke_api_key(made.id).await.unwrap().expect("the key");
    assert_eq!(again.revoked_at.map(|at| at.0), Some(5));
    assert_eq!(
        found(&db.catalog, other.id).await.revoked_at,
        None,
        "the other one is as good as before"
    );
    assert_eq!(db.catalog.revoke_api_key(ApiKeyId::new()).await.unwrap(), None);
}

async fn a_use_is_noted_once_a_minute(db: &Db) {
    let made = db.catalog.create_api_key(&new_key("acme")).await.unwrap();
    db.catalog.touch_api_key(made.id).await.unwrap();
    let used = found(&db.catalog, made.id).await.last_used_at.expect("it was used").0;
    assert_eq!(used % 60_000, 0);
    assert!((0..120_000).contains(&(made.created_at.0 - used)), "{used}");
    // Nothing goes back, whichever of two servers is slower.
    db.raw("UPDATE api_keys SET last_used_at_ms = 9000000000000")
        .await
        .unwrap();
    db.catalog.touch_api_key(made.id).await.unwrap();
    assert_eq!(
        found(&db.catalog, made.id).await.last_used_at.map(|at| at.0),
        Some(9_000_000_000_000)
    );
}

async fn a_tenant_comes_into_being_with_its_key(db: &Db) {
    for tenant in ["b", "a", "b"] {
        db.catalog.create_api_key(&new_key(tenant)).await.unwrap();
    }
    assert_eq!(db.count("tenants").await, 2);
    let listed = async |tenant: Option<&Tenant>| {
        let keys = db.catalog.list_api_keys(tenant).await.unwrap();
        keys.iter()
            .map(|key| key.tenant.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, ["a", "b", "b"]);
    assert_eq!(listed(Some(&Tenant::named("b").unwrap())).await, ["b", "b"]);
    assert!(listed(Some(&Tenant::single())).await.is_empty());
}

#[tokio::test]
async fn keys_are_copied_too() {
    let (from, to) = (Db::sqlite().await, Db::postgres().await);
    let made = from.catalog.create_api_key(&new_key("acme")).await.unwrap();
    copy(&from.catalog, &to.catalog).await.unwrap();
    assert_eq!(found(&to.catalog, made.id).await, made);
    from.remove().await;
    to.remove().await;
}

/// The node writes all the time; what another process writes in between must neither fail nor make the node fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_beside_a_node_that_runs() {
    const KEYS: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/catalog.sqlite", dir.path().display());
    assert!(
        matches!(Catalog::open_beside(&url).await, Err(Error::Absent(_))),
        "nothing is made"
    );
    let node = Catalog::open(&url).await.unwrap();
    node.migrate().await.unwrap();
    let beside = Catalog::open_beside(&url).await.unwrap();
    assert_eq!(beside.schema().await.unwrap(), Schema::Current);
    let makes = |catalog: Catalog, tenant: &'static str| async move {
        for _ in 0..KEYS {
            let made = catalog.create_api_key(&new_key(tenant)).await.unwrap();
            assert_eq!(found(&catalog, made.id).await, made);
        }
    };
    let both = async { tokio::join!(makes(node.clone(), "node"), makes(beside.clone(), "beside")) };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert_eq!(node.list_api_keys(None).await.unwrap().len(), 2 * KEYS);
    beside.close().await;
    node.create_api_key(&new_key("after")).await.unwrap();
}

/// A change of the node that has read something goes on from that, so what others write waits for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_node_is_not_overtaken() {
    // Nothing may happen within it, so there is nothing to wait for; a key that nobody holds up is made in a few milliseconds.
    const LONG_ENOUGH: Duration = Duration::from_millis(100);
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/catalog.sqlite", dir.path().display());
    let node = Catalog::open(&url).await.unwrap();
    node.migrate().await.unwrap();
    let beside = Catalog::open_beside(&url).await.unwrap();
    let mut change = node.begin().await.unwrap();
    let tenant = Tenant::named("node").unwrap();
    assert!(
        node.upload_in(&mut change, &tenant, UploadId::new())
            .await
            .unwrap()
            .is_none()
    );
    let mut making = tokio::spawn(async move { beside.create_api_key(&new_key("beside")).await });
    assert!(
        tokio::time::timeout(LONG_ENOUGH, &mut making).await.is_err(),
        "it waits"
    );
    node.ensure_tenant(&mut change, &tenant).await.unwrap();
    node.commit(change).await.unwrap();
    making.await.unwrap().unwrap();
}
