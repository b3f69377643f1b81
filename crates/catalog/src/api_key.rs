//! Keys that callers show. The catalog knows a digest of each, and never the key.

use std::time::Duration;

use reelway_domain::{ApiKeyId, Tenant, Timestamp};
use sqlx::{Row as _, any::AnyRow};

use crate::{
    Catalog, Error,
    row::Columns,
    sql::{Sql, change_one},
    upload::millis,
};

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is. A tenant that isn't there yet comes into being with it.
    pub tenant: Tenant,
    /// What it is for, in words.
    pub name: String,
    /// The digest of its secret part.
    pub secret_sha256: [u8; 32],
    /// The words of what it may be used for.
    pub scopes: Vec<String>,
    /// How long it is good for; `None`: until it is revoked.
    pub lifetime: Option<Duration>,
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What it is for, in words.
    pub name: String,
    /// The digest of its secret part.
    pub secret_sha256: [u8; 32],
    /// The words of what it may be used for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// When it was last shown, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// The columns of an [`ApiKey`].
pub(crate) const COLUMNS: &str =
    "id, tenant, name, secret_sha256, scopes, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms";

static INSERT: Sql = Sql::new(
    "INSERT INTO api_keys (id, tenant, name, secret_sha256, scopes, created_at_ms, expires_at_ms)
     VALUES ($1, $2, $3, $4, $5, {now}, {now} + $6) RETURNING {api_key}",
);
static FIND: Sql = Sql::new("SELECT {api_key} FROM api_keys WHERE id = $1");
static LIST: Sql = Sql::new("SELECT {api_key} FROM api_keys WHERE $1 = '' OR tenant = $1 ORDER BY tenant, id");
// The first revocation counts: it is when the key ended.
static REVOKE: Sql =
    Sql::new("UPDATE api_keys SET revoked_at_ms = COALESCE(revoked_at_ms, {now}) WHERE id = $1 RETURNING {api_key}");
static TOUCH: Sql = Sql::new(
    "UPDATE api_keys SET last_used_at_ms = {now} / 60000 * 60000
     WHERE id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms < {now} / 60000 * 60000)",
);

impl Catalog {
    /// Keeps a new key.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn create_api_key(&self, new: &NewApiKey) -> Result<ApiKey, Error> {
        let mut tx = self.begin().await?;
        self.ensure_tenant(&mut tx, &new.tenant).await?;
        let row = sqlx::query(INSERT.on(self.dialect))
            .bind(new.id.to_string())
            .bind(new.tenant.as_str())
            .bind(&new.name)
            .bind(new.secret_sha256.to_vec())
            .bind(serde_json::to_string(&new.scopes)?)
            .bind(new.lifetime.map(millis))
            .fetch_one(&mut **tx)
            .await?;
        self.commit(tx).await?;
        ApiKey::try_from(&row)
    }

    /// Finds a key, whatever has become of it.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        let row = sqlx::query(FIND.on(self.dialect))
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(ApiKey::try_from).transpose()
    }

    /// Lists the keys of a tenant or of all, those that have ended too, in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn list_api_keys(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, Error> {
        let rows = sqlx::query(LIST.on(self.dialect))
            .bind(tenant.map_or("", Tenant::as_str))
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(ApiKey::try_from).collect()
    }

    /// Ends a key. Ending it again changes nothing. `None` if there is no such key.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        let revoke = sqlx::query(REVOKE.on(self.dialect)).bind(id.to_string());
        let row = change_one(revoke, &self.write).await?;
        row.as_ref().map(ApiKey::try_from).transpose()
    }

    /// Notes that a key was shown in this minute.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn touch_api_key(&self, id: ApiKeyId) -> Result<(), Error> {
        let touch = sqlx::query(TOUCH.on(self.dialect)).bind(id.to_string());
        touch.execute(&self.write).await?;
        Ok(())
    }
}

impl TryFrom<&AnyRow> for ApiKey {
    type Error = Error;

    fn try_from(row: &AnyRow) -> Result<Self, Error> {
        let c = Columns(row);
        let digest = row.try_get::<Vec<u8>, _>("secret_sha256")?;
        let is_short = |_| Error::Corrupt("the digest of a key is not 32 bytes".into());
        Ok(Self {
            id: c.parsed("id")?,
            tenant: Tenant::stored(c.text("tenant")?),
            name: c.text("name")?,
            secret_sha256: digest.try_into().map_err(is_short)?,
            scopes: serde_json::from_str(&c.text("scopes")?)?,
            created_at: Timestamp(c.int("created_at_ms")?),
            expires_at: c.time_or_null("expires_at_ms")?,
            revoked_at: c.time_or_null("revoked_at_ms")?,
            last_used_at: c.time_or_null("last_used_at_ms")?,
        })
    }
}
