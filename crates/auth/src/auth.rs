//! The judge of what callers show.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderMap;
use reelway_catalog::Catalog;
use reelway_domain::{Failure, JobId, Reason, Tenant, Timestamp};

use crate::{
    AuthLayer, Identity, JwksError, JwtSettings, SigningKeys, UploadGrant,
    bearer::{Shown, shown},
    grant,
    jwt::Jwt,
    key_cache::KeyCache,
    playback,
};

/// What a deployment asks of its callers.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// What grants and playback tokens are signed with.
    pub keys: SigningKeys,
    /// Whose tokens are taken, besides API keys.
    pub jwt: Option<JwtSettings>,
}

/// Callers can't be judged with these settings.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The keys of the tokens' issuer can't be fetched in this way.
    #[error(transparent)]
    Jwks(#[from] JwksError),
}

/// Judges what callers show. Clones are the same judge.
#[derive(Debug, Clone)]
pub struct Auth {
    keys: SigningKeys,
    /// Absent where nobody has to say who they are.
    known: Option<Arc<Known>>,
}

/// Whom a deployment knows.
#[derive(Debug)]
struct Known {
    api_keys: KeyCache,
    jwt: Option<Jwt>,
}

impl Auth {
    /// Nobody has to say who they are: everybody is [`Identity::anybody`], whatever they show. What is signed here is good
    /// in this process only, unless it gets the keys of a deployment ([`Self::with_keys`]).
    #[must_use]
    pub fn open() -> Self {
        Self {
            keys: SigningKeys::random(),
            known: None,
        }
    }

    /// Everybody has to show an API key of the catalog, a grant, or a token if their issuer is known.
    ///
    /// # Errors
    /// [`AuthError`] if the settings can't work.
    pub fn new(settings: AuthSettings, catalog: Catalog) -> Result<Self, AuthError> {
        let known = Known {
            api_keys: KeyCache::new(catalog),
            jwt: settings.jwt.map(Jwt::new).transpose()?,
        };
        Ok(Self {
            keys: settings.keys,
            known: Some(Arc::new(known)),
        })
    }

    /// The same judge with other signing keys.
    #[must_use]
    pub fn with_keys(self, keys: SigningKeys) -> Self {
        Self { keys, ..self }
    }

    /// Whether nobody has to say who they are.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.known.is_none()
    }

    /// Who sends a request with these headers. `authorization` means the same over HTTP and as gRPC metadata.
    ///
    /// # Errors
    /// `CREDENTIALS_MISSING` if it shows nothing, `CREDENTIALS_INVALID` if what it shows is no good; `CATALOG_UNAVAILABLE` or
    /// `SERVICE_UNAVAILABLE` if that can't be found out now.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Failure> {
        let Some(known) = &self.known else {
            return Ok(Identity::anybody());
        };
        match shown(headers)? {
            Shown::ApiKey(key) => known.api_keys.identify(key).await,
            Shown::Grant(token) => grant::read(&self.keys, token, now()),
            Shown::Token(token) => match &known.jwt {
                Some(jwt) => jwt.identify(token).await,
                None => Err(not_valid()),
            },
        }
    }

    /// What stands in front of a gRPC service.
    #[must_use]
    pub fn layer(&self) -> AuthLayer {
        AuthLayer::new(self.clone())
    }

    /// A grant as a text that its holder shows. The tenant is whose upload it is.
    #[must_use]
    pub fn sign_grant(&self, tenant: &Tenant, grant: &UploadGrant) -> String {
        grant::write(&self.keys, tenant, grant)
    }

    /// A text that lets its holder play a job's results until then; it can be a segment of a path.
    #[must_use]
    pub fn sign_playback(&self, job: JobId, expires_at: Timestamp) -> String {
        playback::write(&self.keys, job, expires_at)
    }

    /// Whether this text lets its holder play the job's results.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID` if it is for another job, over, or not from here.
    pub fn verify_playback(&self, job: JobId, token: &str) -> Result<(), Failure> {
        playback::verify(&self.keys, job, token, now())
    }
}

/// The one answer to whatever is no good, so that nobody learns which keys there are or were.
pub(crate) fn not_valid() -> Failure {
    let message = "this is not a valid key, token or grant here, or not any more";
    Failure::new(Reason::CredentialsInvalid, message)
}

/// This machine's time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
