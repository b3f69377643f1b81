//! What the roles of a process stand on: each is made once, and a role takes what it needs.

use reelway_auth::Auth;
use reelway_blob::Store;
use reelway_bus::Bus;
use reelway_catalog::Catalog;
use reelway_domain::StoreId;
use reelway_rpc::PlaybackUrls;
use tokio::sync::OnceCell;

use super::{limits::Limits, start, stop::Stop, store_url::StoreUrl, vitals::Vitals};
use crate::{config::ServeConfig, error::CliError};

/// The name under which the catalog keeps which store belongs to it.
const STORE_SETTING: &str = "store";

/// What the roles of a process stand on.
pub(super) struct Parts {
    pub(super) config: ServeConfig,
    pub(super) catalog: Catalog,
    pub(super) bus: Bus,
    /// Who may call.
    pub(super) auth: Auth,
    /// How often.
    pub(super) limits: Limits,
    /// Where players find what jobs made.
    pub(super) urls: PlaybackUrls,
    pub(super) vitals: Vitals,
    pub(super) stop: Stop,
    store: OnceCell<Store>,
}

impl Parts {
    /// What there is before a role asked for anything.
    pub(super) fn new(
        config: ServeConfig,
        catalog: Catalog,
        bus: Bus,
        auth: Auth,
        urls: PlaybackUrls,
        vitals: Vitals,
        stop: Stop,
    ) -> Self {
        Self {
            limits: Limits::new(&config, &bus),
            config,
            catalog,
            bus,
            auth,
            urls,
            vitals,
            stop,
            store: OnceCell::new(),
        }
    }

    /// The store, opened when the first role asks for it.
    ///
    /// # Errors
    /// If it can't be used, or the catalog belongs to another one.
    pub(super) async fn store(&self) -> Result<Store, CliError> {
        self.store.get_or_try_init(|| self.open_store()).await.cloned()
    }

    /// The store, if a role has asked for it.
    pub(super) fn opened_store(&self) -> Option<&Store> {
        self.store.get()
    }

    async fn open_store(&self) -> Result<Store, CliError> {
        let at = StoreUrl::of(&self.config)?;
        let place = at.to_string();
        let store = at.open(&self.config).await.map_err(store_failure)?;
        let own = store.identity().to_string();
        let agree = || self.catalog.agree(STORE_SETTING, &own);
        let agreed = start::answered(&self.catalog, &self.vitals, agree).await?;
        if agreed == own {
            return Ok(store);
        }
        Err(mismatch(&agreed, &format!("{place} is the store {own}")))
    }
}

/// Refuses a store that is not the catalog's: of another one's objects the catalog would know none.
///
/// # Errors
/// That, and if the catalog can't be asked, or belongs to no store yet.
pub(crate) async fn expect_own_store(catalog: &Catalog, own: StoreId) -> Result<(), CliError> {
    let agreed = catalog.setting(STORE_SETTING).await.map_err(start::catalog_failure)?;
    match agreed {
        Some(agreed) if agreed == own.to_string() => Ok(()),
        agreed => {
            let agreed = agreed.unwrap_or_else(|| "that nobody has named yet".to_owned());
            Err(mismatch(&agreed, &format!("this is the store {own}")))
        }
    }
}

fn mismatch(agreed: &str, found: &str) -> CliError {
    CliError::failed(
        "STORE_MISMATCH",
        format!("the catalog belongs to the store {agreed}, and {found}"),
    )
    .hint("give every process of a deployment the same --store, and each deployment a database of its own")
}

fn store_failure(error: impl std::fmt::Display) -> CliError {
    CliError::failed("STORE_UNAVAILABLE", error)
}
