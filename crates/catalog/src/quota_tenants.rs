//! What tenants may have and have, for those who look after them.

use reelway_domain::Tenant;
use sqlx::any::AnyRow;

use crate::{Catalog, Error, row::Columns, sql::Sql};

/// What tenants may have that have no limits of their own. `None`: as much as they like. All servers that write uploads must
/// be given the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaDefaults {
    /// Bytes, reserved and stored together.
    pub bytes_max: Option<i64>,
    /// Uploads that receive at the same time.
    pub uploads_open_max: Option<i64>,
}

/// What a tenant may have, and has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The tenant.
    pub tenant: Tenant,
    /// How many bytes it may have; `None`: what the servers give to those without a limit of their own.
    pub bytes_max: Option<i64>,
    /// How many uploads may receive at the same time; `None` as above.
    pub uploads_open_max: Option<i64>,
    /// Bytes of uploads that receive.
    pub bytes_reserved: i64,
    /// Bytes of complete uploads.
    pub bytes_stored: i64,
    /// Uploads that receive.
    pub uploads_open: i64,
}

/// Limits that are to be set. Those that are `None` stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewLimits {
    /// How many bytes it may have.
    pub bytes_max: Option<Limit>,
    /// How many uploads may receive at the same time.
    pub uploads_open_max: Option<Limit>,
}

/// A limit of a tenant's own, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// What the servers give to those without a limit of their own.
    Default,
    /// No more than this.
    Max(i64),
}

impl Limit {
    /// As much as it likes, whatever the servers give to others.
    pub const NONE: Self = Self::Max(i64::MAX);

    fn column(self) -> Option<i64> {
        match self {
            Self::Default => None,
            Self::Max(max) => Some(max),
        }
    }
}

static LIST: Sql = Sql::new(
    "SELECT id, bytes_max, uploads_open_max, bytes_reserved, bytes_stored, uploads_open FROM tenants
     WHERE $1 = '' OR id = $1 ORDER BY id",
);
static SET: Sql = Sql::new(
    "UPDATE tenants SET bytes_max = CASE WHEN $2 = 1 THEN $3 ELSE bytes_max END,
                        uploads_open_max = CASE WHEN $4 = 1 THEN $5 ELSE uploads_open_max END
     WHERE id = $1",
);
// Those that change an upload change its tenant's account in the same transaction, and last. So while the tenant's row is locked,
// a statement that begins then sees exactly the uploads of which the account knows.
static COUNT: Sql = Sql::new(
    "UPDATE tenants SET
        uploads_open = (SELECT COUNT(*) FROM uploads WHERE tenant = $1 AND state = 'receiving'),
        bytes_reserved = (SELECT CAST(COALESCE(SUM(quota_bytes), 0) AS BIGINT) FROM uploads
                          WHERE tenant = $1 AND state = 'receiving'),
        bytes_stored = (SELECT CAST(COALESCE(SUM(quota_bytes), 0) AS BIGINT) FROM uploads
                        WHERE tenant = $1 AND state = 'complete')
     WHERE id = $1",
);

impl Catalog {
    /// What all tenants may have and have, by name.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn quotas(&self) -> Result<Vec<Quota>, Error> {
        let rows = self.quotas_of("").await?;
        rows.iter().map(Quota::try_from).collect()
    }

    /// What a tenant may have and has; `None`: nobody has heard of it.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn quota(&self, tenant: &Tenant) -> Result<Option<Quota>, Error> {
        let rows = self.quotas_of(tenant.as_str()).await?;
        rows.first().map(Quota::try_from).transpose()
    }

    /// The tenant of this name, or all of them.
    async fn quotas_of(&self, name: &str) -> Result<Vec<AnyRow>, Error> {
        let query = sqlx::query(LIST.on(self.dialect)).bind(name);
        Ok(query.fetch_all(&self.read).await?)
    }

    /// Sets what a tenant may have, before or after its first upload. What it has already stays, even if that is more; its
    /// account is counted anew.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn set_limits(&self, tenant: &Tenant, new: NewLimits) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        self.ensure_tenant(&mut tx, tenant).await?;
        let column = |limit: Option<Limit>| limit.and_then(Limit::column);
        sqlx::query(SET.on(self.dialect))
            .bind(tenant.as_str())
            .bind(i64::from(new.bytes_max.is_some()))
            .bind(column(new.bytes_max))
            .bind(i64::from(new.uploads_open_max.is_some()))
            .bind(column(new.uploads_open_max))
            .execute(&mut **tx)
            .await?;
        sqlx::query(COUNT.on(self.dialect))
            .bind(tenant.as_str())
            .execute(&mut **tx)
            .await?;
        self.commit(tx).await
    }
}

impl TryFrom<&AnyRow> for Quota {
    type Error = Error;

    fn try_from(row: &AnyRow) -> Result<Self, Error> {
        let c = Columns(row);
        Ok(Self {
            tenant: Tenant::stored(c.text("id")?),
            bytes_max: c.int_or_null("bytes_max")?,
            uploads_open_max: c.int_or_null("uploads_open_max")?,
            bytes_reserved: c.int("bytes_reserved")?,
            bytes_stored: c.int("bytes_stored")?,
            uploads_open: c.int("uploads_open")?,
        })
    }
}
