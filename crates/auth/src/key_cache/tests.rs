use std::time::Duration;

use reelway_catalog::NewApiKey;
use reelway_domain::{Reason, Tenant};
use tempfile::TempDir;

use super::*;
use crate::{FreshApiKey, Scope};

/// A catalog with one key.
struct Kept {
    cache: KeyCache,
    key: FreshApiKey,
    _dir: TempDir,
}

impl Kept {
    async fn new(believed: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&format!("sqlite://{}/c", dir.path().display()))
            .await
            .unwrap();
        catalog.migrate().await.unwrap();
        let key = FreshApiKey::generate();
        let new = NewApiKey {
            id: key.id,
            tenant: Tenant::named("acme").unwrap(),
            name: "test".to_owned(),
            secret_sha256: key.secret_sha256,
            scopes: vec!["jobs:read".to_owned(), "of:tomorrow".to_owned()],
            lifetime: None,
        };
        catalog.create_api_key(&new).await.unwrap();
        let cache = KeyCache {
            believed,
            ..KeyCache::new(catalog)
        };
        Self { cache, key, _dir: dir }
    }

    async fn revoke(&self) {
        self.cache.catalog.revoke_api_key(self.key.id).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_is_its_tenant_with_its_scopes() {
    let kept = Kept::new(BELIEVED_MAX).await;
    let identity = kept.cache.identify(&kept.key.text).await.unwrap();
    assert_eq!(identity.tenant.as_str(), "acme");
    assert_eq!(identity.access, Access::Scoped([Scope::JobsRead].into_iter().collect()));
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let kept = Kept::new(Duration::ZERO).await;
    let unknown = FreshApiKey::generate();
    let wrong_secret = format!("{}{}", kept.key.id, &unknown.text[36..]);
    let mut answers = Vec::new();
    for text in ["rwk_", &unknown.text, &wrong_secret] {
        answers.push(kept.cache.identify(text).await.unwrap_err());
    }
    kept.revoke().await;
    answers.push(kept.cache.identify(&kept.key.text).await.unwrap_err());
    assert_eq!(answers[0].reason, Reason::CredentialsInvalid);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_revocation_counts_when_the_key_is_asked_for_again() {
    let kept = Kept::new(Duration::from_secs(3600)).await;
    kept.cache.identify(&kept.key.text).await.unwrap();
    kept.revoke().await;
    kept.cache
        .identify(&kept.key.text)
        .await
        .expect("it is believed for a while");
    kept.cache.with_seen(HashMap::clear);
    kept.cache.identify(&kept.key.text).await.unwrap_err();
    assert!(BELIEVED_MAX < Duration::from_secs(5));
}

#[tokio::test]
async fn the_use_of_a_key_is_noted() {
    let kept = Kept::new(BELIEVED_MAX).await;
    kept.cache.identify(&kept.key.text).await.unwrap();
    let noted = async {
        while kept
            .cache
            .catalog
            .api_key(kept.key.id)
            .await
            .unwrap()
            .unwrap()
            .last_used_at
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted).await.unwrap();
    let entry = |seen: &mut HashMap<_, Seen>| seen[&kept.key.id].noted;
    assert!(
        kept.cache.with_seen(entry).is_some(),
        "it is not noted again in this minute"
    );
}

#[tokio::test]
async fn no_more_keys_are_remembered_than_there_is_room_for() {
    let kept = Kept::new(Duration::from_secs(3600)).await;
    kept.cache.identify(&kept.key.text).await.unwrap();
    kept.cache.with_seen(|seen| {
        let entry = seen[&kept.key.id].clone();
        while seen.len() < KEYS_MAX {
            seen.insert(ApiKeyId::new(), entry.clone());
        }
        make_room(seen, Duration::from_secs(3600));
        assert!(seen.len() < KEYS_MAX);
    });
    kept.cache.identify(&kept.key.text).await.unwrap();
}
