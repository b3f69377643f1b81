//! Whom rows belong to.

use reelway_domain::Tenant;

use crate::{Catalog, Error, sql::Sql, tx::Tx};

static ENSURE: Sql = Sql::new("INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING");

impl Catalog {
    /// Sees to it that a tenant has its row, which all of its other rows refer to. Whoever may name a tenant has been
    /// identified, so the first thing that is made for it brings it into being.
    pub(crate) async fn ensure_tenant(&self, tx: &mut Tx, tenant: &Tenant) -> Result<(), Error> {
        sqlx::query(ENSURE.on(self.dialect))
            .bind(tenant.as_str())
            .execute(&mut ***tx)
            .await?;
        Ok(())
    }
}
