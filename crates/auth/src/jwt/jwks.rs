//! An issuer's keys, kept while they are young, and asked for again when a token names one that is not among them.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::Algorithm;
use reelway_domain::{Failure, Reason};
use tokio::sync::Mutex;

use super::{
    fetch::{Fetcher, JwksError, JwksSource},
    key_set::{KeySet, PublicKey},
};

/// How old keys become before they are asked for again. A key that the issuer takes back counts for no longer, as long as it
/// answers.
const AGE_MAX: Duration = Duration::from_secs(600);
/// The issuer is not asked more often, whatever keys tokens name.
const ASK_EVERY_MIN: Duration = Duration::from_secs(5);

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct Jwks {
    fetcher: Fetcher,
    ages: Ages,
    held: RwLock<Held>,
    /// One asks, the others wait for what it gets.
    asking: Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ages {
    pub(super) max: Duration,
    pub(super) ask_every_min: Duration,
}

#[derive(Debug, Clone, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    /// When the issuer was asked last, whatever it said.
    asked_at: Option<Instant>,
}

impl Held {
    fn is_asked_within(&self, time: Duration) -> bool {
        self.asked_at.is_some_and(|at| at.elapsed() < time)
    }
}

impl Jwks {
    /// The keys from there. They are fetched when the first token comes.
    pub(super) fn new(source: JwksSource) -> Result<Self, JwksError> {
        let ages = Ages {
            max: AGE_MAX,
            ask_every_min: ASK_EVERY_MIN,
        };
        Self::with_ages(source, ages)
    }

    pub(super) fn with_ages(source: JwksSource, ages: Ages) -> Result<Self, JwksError> {
        Ok(Self {
            fetcher: Fetcher::new(source)?,
            ages,
            held: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// The key that a token is signed with; `None` if the issuer has no such key.
    ///
    /// # Errors
    /// `SERVICE_UNAVAILABLE` if its keys were never to be had.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<PublicKey>>, Failure> {
        let held = self.held();
        if let Some(key) = held.keys.as_ref().and_then(|keys| keys.find(id, algorithm)) {
            if !held.is_asked_within(self.ages.max) {
                // Nobody waits for what most probably hasn't changed.
                let jwks = Arc::clone(self);
                tokio::spawn(async move { jwks.ask_again(jwks.ages.max).await });
            }
            return Ok(Some(key));
        }
        self.ask_again(self.ages.ask_every_min).await;
        let keys = self.held().keys.ok_or_else(|| {
            let message = "the keys of the tokens' issuer can't be fetched now; try again";
            Failure::new(Reason::ServiceUnavailable, message)
        })?;
        Ok(keys.find(id, algorithm))
    }

    /// Asks the issuer, unless that was done within this time. Keys that are here stay if it doesn't answer.
    async fn ask_again(&self, within: Duration) {
        let _one = self.asking.lock().await;
        if self.held().is_asked_within(within) {
            return;
        }
        let fetched = self.fetcher.fetch().await;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.asked_at = Some(Instant::now());
        match fetched {
            Ok(keys) => held.keys = Some(Arc::new(keys)),
            Err(error) => {
                let source = self.fetcher.source();
                tracing::warn!(%source, %error, "the keys of the tokens' issuer can't be fetched");
            }
        }
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
