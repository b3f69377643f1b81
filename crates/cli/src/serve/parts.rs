//! What the roles of a process stand on: each is made once, and a role takes what it needs.

use reelway_auth::Auth;
use reelway_blob::{Store, Stores};
use reelway_bus::Bus;
use reelway_catalog::Catalog;
use reelway_rpc::PlaybackUrls;
use tokio::sync::OnceCell;

use super::{
    limits::Limits,
    own_store::{self, Holds, expect},
    start,
    stop::Stop,
    store_url::StoreUrl,
    vitals::Vitals,
};
use crate::{config::ServeConfig, error::CliError};

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
    stores: OnceCell<Stores>,
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
            stores: OnceCell::new(),
        }
    }

    /// The stores, opened when the first role asks for them.
    ///
    /// # Errors
    /// If one can't be used, or the catalog belongs to another one.
    pub(super) async fn stores(&self) -> Result<Stores, CliError> {
        self.stores.get_or_try_init(|| self.open_stores()).await.cloned()
    }

    /// The stores, if a role has asked for them.
    pub(super) fn opened_stores(&self) -> Option<&Stores> {
        self.stores.get()
    }

    async fn open_stores(&self) -> Result<Stores, CliError> {
        let (sources, outputs) = (StoreUrl::of(&self.config)?, StoreUrl::of_outputs(&self.config)?);
        let archive = StoreUrl::of_archive(&self.config)?;
        let archive_place = archive.as_ref().map(ToString::to_string).unwrap_or_default();
        let is_with_outputs = matches!((&archive, &outputs), (Some(archive), Some(outputs)) if archive.is_at(outputs));
        let (place, outputs_place) = (sources.to_string(), outputs.as_ref().unwrap_or(&sources).to_string());
        let sources = sources.open(&self.config.bucket).await.map_err(store_failure)?;
        let outputs = match outputs {
            Some(outputs) => outputs.open(&self.config.output_bucket).await.map_err(store_failure)?,
            None => sources.clone(),
        };
        let archive = match archive {
            // A directory can be opened once only.
            Some(_) if is_with_outputs => Some(outputs.clone()),
            Some(archive) => Some(archive.open(&self.config.archive_bucket).await.map_err(store_failure)?),
            None => None,
        };
        let (own, own_outputs) = (sources.identity(), outputs.identity());
        let own_archive = archive.as_ref().map(Store::identity);
        let agree = || own_store::agree(&self.catalog, own, own_outputs);
        let agreed = start::answered(&self.catalog, &self.vitals, agree).await?;
        expect(Holds::Outputs, &agreed.outputs, own_outputs, &outputs_place)?;
        expect(Holds::Sources, &agreed.sources, own, &place)?;
        if own_archive == Some(own) {
            let message = format!("{archive_place} is the store that sources are uploaded to");
            return Err(CliError::failed("STORE_MISMATCH", message).hint("name another one with --archive-store"));
        }
        let agree = || own_store::agree_on_archive(&self.catalog, own_archive);
        let agreed = start::answered(&self.catalog, &self.vitals, agree).await?;
        match own_archive {
            Some(own) => expect(Holds::Archive, &agreed.unwrap_or_default(), own, &archive_place)?,
            None => own_store::expect_no_archive(agreed.as_deref())?,
        }
        Ok(Stores {
            sources,
            outputs,
            archive,
        })
    }
}

fn store_failure(error: impl std::fmt::Display) -> CliError {
    CliError::failed("STORE_UNAVAILABLE", error)
}
