//! What each tenant has of what it may have.
//!
//! The account stands in the tenant's row: how many uploads are open, how many bytes are reserved for them, and how many are
//! stored. At every commit, and for every tenant,
//!
//! - `uploads_open` is the number of its uploads that receive,
//! - `bytes_reserved` is the sum of their `quota_bytes`, and
//! - `bytes_stored` is the sum of the `quota_bytes` of those that are complete.
//!
//! What an upload holds is its length, or what is reserved of one that isn't known; while it has a tail, that too; and of an upload
//! that is put together from parts, what it will have more than they hold.
//!
//! An upload's row changes its state once, fenced by its own condition; whoever changes it notes what that means
//! ([`Tx::account`]). The notes become one UPDATE as the change commits: the one that numbers the tenant's events, so that an
//! account costs a statement only where there are no events, and the tenant's row stays the last that is locked. It restates
//! the limits, on the row as it is once it is locked: of two that want the last room, one gets it, and the other is undone.

use reelway_domain::{Tenant, UploadId, UploadKind, UploadState};
use sqlx::any::AnyRow;

use crate::{Catalog, Error, QuotaDefaults, QuotaError, Upload, row::Columns, sql::Sql, tx::Tx};

/// How a tenant's account changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    uploads_open: i64,
    bytes_reserved: i64,
    bytes_stored: i64,
}

impl Usage {
    /// An upload was created, with so many bytes reserved.
    pub(crate) fn opened(bytes: i64) -> Self {
        Self {
            uploads_open: 1,
            bytes_reserved: bytes,
            bytes_stored: 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.uploads_open += other.uploads_open;
        self.bytes_reserved += other.bytes_reserved;
        self.bytes_stored += other.bytes_stored;
    }

    fn bytes(self) -> i64 {
        self.bytes_reserved + self.bytes_stored
    }
}

// A server of an earlier release, which runs beside this one while they are replaced, opens uploads without counting them:
// hence not below 0. Subtracting from the limit can't overflow, and what is below the limit can't either.
static CHANGE: Sql = Sql::new(
    "UPDATE tenants SET event_seq = event_seq + $2, bytes_reserved = bytes_reserved + $4, bytes_stored = bytes_stored + $5,
                        uploads_open = CASE WHEN uploads_open + $3 > 0 THEN uploads_open + $3 ELSE 0 END
     WHERE id = $1 AND ($3 <= 0 OR uploads_open <= COALESCE(uploads_open_max, $6) - $3)
       AND ($4 + $5 <= 0 OR bytes_reserved + bytes_stored <= COALESCE(bytes_max, $7) - $4 - $5)
     RETURNING event_seq",
);
static STANDING: Sql = Sql::new(
    "SELECT uploads_open, bytes_reserved + bytes_stored, COALESCE(uploads_open_max, $2), COALESCE(bytes_max, $3)
     FROM tenants WHERE id = $1",
);
static HELD: Sql = Sql::new("SELECT quota_bytes FROM uploads WHERE id = $1");
static HOLD: Sql = Sql::new("UPDATE uploads SET quota_bytes = $2 WHERE id = $1");
static TAKE_FROM_PARTS: Sql = Sql::new(
    "WITH parts AS MATERIALIZED (
        SELECT id, quota_bytes FROM uploads
        WHERE id {in:SELECT part_id FROM upload_joins WHERE upload_id = $1} AND quota_bytes > 0 AND state = 'complete'
        ORDER BY id {for_update})
     SELECT CAST(COALESCE(SUM(quota_bytes), 0) AS BIGINT) FROM parts",
);
static EMPTY_PARTS: Sql = Sql::new(
    "UPDATE uploads SET quota_bytes = 0
     WHERE id {in:SELECT part_id FROM upload_joins WHERE upload_id = $1} AND quota_bytes > 0 AND state = 'complete'",
);

/// What an upload holds, from a row that was read with `quota_bytes`.
pub(crate) fn held(row: &AnyRow) -> Result<i64, Error> {
    Columns(row).int("quota_bytes")
}

impl Tx {
    /// Notes how the change changes a tenant's account.
    pub(crate) fn account(&mut self, tenant: &Tenant, usage: Usage) {
        self.usage.entry(tenant.as_str().to_owned()).or_default().add(usage);
    }
}

impl Catalog {
    /// The same catalog, with limits for tenants that have none of their own.
    #[must_use]
    pub fn with_quota(mut self, defaults: QuotaDefaults) -> Self {
        self.quota = defaults;
        self
    }

    /// Gives a tenant's next `count` events their numbers, of which it tells the last, and changes its account. Locks the
    /// tenant.
    pub(crate) async fn change_tenant(
        &self,
        tx: &mut Tx,
        tenant: &str,
        count: i64,
        usage: Usage,
    ) -> Result<i64, Error> {
        let changed: Option<(i64,)> = sqlx::query_as(CHANGE.on(self.dialect))
            .bind(tenant)
            .bind(count)
            .bind(usage.uploads_open)
            .bind(usage.bytes_reserved)
            .bind(usage.bytes_stored)
            .bind(self.quota.uploads_open_max.unwrap_or(i64::MAX))
            .bind(self.quota.bytes_max.unwrap_or(i64::MAX))
            .fetch_optional(&mut ***tx)
            .await?;
        match changed {
            Some((last,)) => Ok(last),
            None => Err(self.refusal(tx, tenant, usage).await?.into()),
        }
    }

    /// Why the account was not changed.
    async fn refusal(&self, tx: &mut Tx, tenant: &str, usage: Usage) -> Result<QuotaError, Error> {
        let (open, used, open_max, bytes_max): (i64, i64, i64, i64) = sqlx::query_as(STANDING.on(self.dialect))
            .bind(tenant)
            .bind(self.quota.uploads_open_max.unwrap_or(i64::MAX))
            .bind(self.quota.bytes_max.unwrap_or(i64::MAX))
            .fetch_one(&mut ***tx)
            .await?;
        if usage.bytes() > 0 && used > bytes_max - usage.bytes() || usage.uploads_open <= 0 {
            return Ok(QuotaError::Bytes {
                max: bytes_max,
                used,
                wanted: usage.bytes(),
            });
        }
        Ok(QuotaError::UploadsOpen { max: open_max, open })
    }

    /// Reserves as many bytes for an upload as it may become long, unless its parts hold them. The change must have changed its
    /// row before.
    pub(crate) async fn reserve(&self, tx: &mut Tx, upload: &Upload, bytes: i64) -> Result<(), Error> {
        if upload.kind == UploadKind::Joined {
            return Ok(());
        }
        let held = self.held_by(tx, upload.id).await?;
        self.hold(tx, upload.id, held, bytes).await?;
        let usage = Usage {
            bytes_reserved: bytes - held,
            ..Usage::default()
        };
        tx.account(&upload.tenant, usage);
        Ok(())
    }

    /// Makes what was reserved for an upload stored, now that it is complete. What was reserved is its length, unless that was
    /// not known, or it had a tail. A joined upload takes over what its parts hold: the tenant has sent these bytes once.
    pub(crate) async fn store_reserved(&self, tx: &mut Tx, upload: &Upload, held: i64, size: i64) -> Result<(), Error> {
        self.hold(tx, upload.id, held, size).await?;
        let of_parts = match upload.kind {
            UploadKind::Joined => self.take_from_parts(tx, upload.id).await?,
            UploadKind::Whole | UploadKind::Partial => 0,
        };
        let usage = Usage {
            uploads_open: -1,
            bytes_reserved: -held,
            bytes_stored: size - of_parts,
        };
        tx.account(&upload.tenant, usage);
        Ok(())
    }

    /// Gives back what an upload held that has come to nothing, or is kept no longer. It `was` in this state before, and the
    /// change has changed its row.
    pub(crate) async fn give_back(&self, tx: &mut Tx, upload: &Upload, was: UploadState) -> Result<(), Error> {
        let held = self.held_by(tx, upload.id).await?;
        self.hold(tx, upload.id, held, 0).await?;
        let usage = match was {
            UploadState::Receiving => Usage {
                uploads_open: -1,
                bytes_reserved: -held,
                bytes_stored: 0,
            },
            UploadState::Complete | UploadState::Failed | UploadState::Aborted | UploadState::Expired => Usage {
                bytes_stored: -held,
                ..Usage::default()
            },
        };
        tx.account(&upload.tenant, usage);
        Ok(())
    }

    async fn held_by(&self, tx: &mut Tx, upload: UploadId) -> Result<i64, Error> {
        let (held,): (i64,) = sqlx::query_as(HELD.on(self.dialect))
            .bind(upload.to_string())
            .fetch_one(&mut ***tx)
            .await?;
        Ok(held)
    }

    async fn hold(&self, tx: &mut Tx, upload: UploadId, held: i64, bytes: i64) -> Result<(), Error> {
        if bytes != held {
            sqlx::query(HOLD.on(self.dialect))
                .bind(upload.to_string())
                .bind(bytes)
                .execute(&mut ***tx)
                .await?;
        }
        Ok(())
    }

    async fn take_from_parts(&self, tx: &mut Tx, joined: UploadId) -> Result<i64, Error> {
        let (bytes,): (i64,) = sqlx::query_as(TAKE_FROM_PARTS.on(self.dialect))
            .bind(joined.to_string())
            .fetch_one(&mut ***tx)
            .await?;
        sqlx::query(EMPTY_PARTS.on(self.dialect))
            .bind(joined.to_string())
            .execute(&mut ***tx)
            .await?;
        Ok(bytes)
    }
}
