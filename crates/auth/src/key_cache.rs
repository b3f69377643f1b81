//! The API keys that were shown lately, so that not every call asks the catalog.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reelway_catalog::{ApiKey, Catalog};
use reelway_domain::{ApiKeyId, Failure};

use crate::{
    Access, Identity, Scopes,
    api_key::ShownKey,
    auth::{not_valid, now},
};

/// How long a key is believed without asking again. A revocation counts everywhere after this time.
const BELIEVED_MAX: Duration = Duration::from_secs(3);
/// The most keys that are remembered. Only such as exist are, so it takes as many real keys to fill it.
const KEYS_MAX: usize = 10_000;
/// How exactly the last use is noted, in milliseconds.
const NOTED_EVERY_MS: i64 = 60_000;

/// The keys of the catalog.
#[derive(Debug)]
pub(crate) struct KeyCache {
    catalog: Catalog,
    believed: Duration,
    seen: Mutex<HashMap<ApiKeyId, Seen>>,
}

#[derive(Debug, Clone)]
struct Seen {
    key: Arc<ApiKey>,
    asked_at: Instant,
    /// The minute in which its use was noted last, as far as is known here.
    noted: Option<i64>,
}

impl KeyCache {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            believed: BELIEVED_MAX,
            seen: Mutex::default(),
        }
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID` if it is nobody's, or not any more; `CATALOG_UNAVAILABLE` if that can't be found out now.
    pub(crate) async fn identify(&self, text: &str) -> Result<Identity, Failure> {
        let shown = ShownKey::parse(text).ok_or_else(not_valid)?;
        let key = self.find(shown.id).await?.ok_or_else(not_valid)?;
        if !shown.is_good(&key, now()) {
            return Err(not_valid());
        }
        self.note_use(key.id);
        // A scope of a later release means nothing here.
        let scopes: Scopes = key.scopes.iter().filter_map(|word| word.parse().ok()).collect();
        Ok(Identity {
            tenant: key.tenant.clone(),
            access: Access::Scoped(scopes),
        })
    }

    async fn find(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>, Failure> {
        let before = self.with_seen(|seen| seen.get(&id).cloned());
        if let Some(fresh) = before.as_ref().filter(|seen| seen.asked_at.elapsed() < self.believed) {
            return Ok(Some(Arc::clone(&fresh.key)));
        }
        // What is answered may be as old as the question.
        let asked_at = Instant::now();
        let found = self.catalog.api_key(id).await?.map(Arc::new);
        self.with_seen(|seen| match &found {
            None => drop(seen.remove(&id)),
            Some(key) => {
                make_room(seen, self.believed);
                let noted = before
                    .and_then(|before| before.noted)
                    .max(key.last_used_at.map(|at| minute(at.0)));
                let key = Arc::clone(key);
                seen.insert(id, Seen { key, asked_at, noted });
            }
        });
        Ok(found)
    }

    /// Notes that the key was shown, beside the call and once a minute: neither waits for the other.
    fn note_use(&self, id: ApiKeyId) {
        let this_minute = Some(minute(now().0));
        let is_new = self.with_seen(|seen| {
            let entry = seen.get_mut(&id).filter(|entry| entry.noted < this_minute);
            entry.is_some_and(|entry| {
                entry.noted = this_minute;
                true
            })
        });
        if is_new {
            let catalog = self.catalog.clone();
            tokio::spawn(async move {
                if let Err(error) = catalog.touch_api_key(id).await {
                    tracing::debug!(%error, key = %id, "the use of a key was not noted");
                }
            });
        }
    }

    fn with_seen<T>(&self, f: impl FnOnce(&mut HashMap<ApiKeyId, Seen>) -> T) -> T {
        // Nothing that holds the lock can panic halfway.
        f(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn minute(at_ms: i64) -> i64 {
    at_ms / NOTED_EVERY_MS
}

/// Forgets what would be asked for again anyway, and everything if that isn't enough.
fn make_room(seen: &mut HashMap<ApiKeyId, Seen>, believed: Duration) {
    if seen.len() >= KEYS_MAX {
        seen.retain(|_, entry| entry.asked_at.elapsed() < believed);
    }
    if seen.len() >= KEYS_MAX {
        seen.clear();
    }
}

#[cfg(test)]
mod tests;
