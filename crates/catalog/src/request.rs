//! Request ids: a repeated call gets the first call's answer, because the id is committed with the effect.

use reelway_domain::Tenant;

use crate::{Catalog, Error, sql::Sql, tx::Tx};

/// What makes a call repeatable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    /// The caller's UUID.
    pub id: String,
    /// The RPC's name: the same id may be used for another one.
    pub method: &'static str,
    /// A digest of the request: the same id with another request is a mistake.
    pub request_hash: [u8; 32],
}

/// What was created, now or by an earlier call with the same request id.
#[derive(Debug, Clone, PartialEq)]
pub enum Created<T> {
    /// By this call.
    New(T),
    /// By an earlier one.
    Before(T),
}

impl<T> Created<T> {
    /// The thing, whoever created it.
    pub fn into_inner(self) -> T {
        match self {
            Self::New(thing) | Self::Before(thing) => thing,
        }
    }
}

static CLAIM: Sql = Sql::new(
    "INSERT INTO request_ids (tenant, method, request_id, request_hash, resource_id, created_at_ms)
     VALUES ($1, $2, $3, $4, $5, {now}) ON CONFLICT DO NOTHING",
);
static FIND: Sql =
    Sql::new("SELECT request_hash, resource_id FROM request_ids WHERE tenant = $1 AND method = $2 AND request_id = $3");

impl Catalog {
    /// Takes the request id for `resource`, or gives the resource that an earlier call took it for. On Postgres a
    /// concurrent call with the same id waits here until the first has committed.
    pub(crate) async fn take_request_id(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        request: &RequestId,
        resource: &str,
    ) -> Result<Option<String>, Error> {
        let taken = sqlx::query(CLAIM.on(self.dialect))
            .bind(tenant.as_str())
            .bind(request.method)
            .bind(&request.id)
            .bind(request.request_hash.as_slice())
            .bind(resource)
            .execute(&mut ***tx)
            .await?;
        if taken.rows_affected() == 1 {
            return Ok(None);
        }
        let (hash, earlier): (Vec<u8>, String) = sqlx::query_as(FIND.on(self.dialect))
            .bind(tenant.as_str())
            .bind(request.method)
            .bind(&request.id)
            .fetch_one(&mut ***tx)
            .await?;
        if hash == request.request_hash {
            Ok(Some(earlier))
        } else {
            Err(Error::RequestIdReused(request.id.clone()))
        }
    }
}
