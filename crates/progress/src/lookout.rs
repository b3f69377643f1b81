//! The lookout: one reader of the catalog for all watchers of a server. It finds what no hint told of, so that ten thousand
//! watchers cost a few statements every two seconds and not as many each.

use std::time::Duration;

use reelway_catalog::{Catalog, Error};
use reelway_domain::EventSeq;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Hub,
    signal::{Key, Mark},
};

/// Whether the catalog answers.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    is_blind: bool,
}

impl Lookout {
    /// Looks until it is dropped.
    pub(crate) async fn run(mut self, hub: &Hub, catalog: &Catalog, every: Duration) {
        let mut next = interval(every);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let looked = tokio::select! {
                _ = next.tick() => look(hub, catalog).await,
                () = hub.happened() => look_at_tenants(hub, catalog).await,
            };
            match looked {
                Ok(()) if self.is_blind => {
                    self.is_blind = false;
                    tracing::info!("the catalog answers again");
                }
                Ok(()) => {}
                Err(error) if !self.is_blind => {
                    self.is_blind = true;
                    tracing::warn!(%error, "the catalog can't be looked at; watchers hear what the bus tells");
                }
                Err(_) => {}
            }
        }
    }
}

/// Looks once, at everything that is watched. Whoever has seen what there is, is left alone.
async fn look(hub: &Hub, catalog: &Catalog) -> Result<(), Error> {
    let (mut jobs, mut uploads) = (Vec::new(), Vec::new());
    for key in hub.watched() {
        match key {
            Key::Job(id) => jobs.push(id),
            Key::Upload(id) => uploads.push(id),
            Key::Everything(_) => {}
        }
    }
    let seqs = catalog.event_seqs(&jobs).await?;
    for id in jobs {
        let seq = seqs.get(&id).copied();
        if let Some(seq) = seq {
            hub.told(id, seq);
        }
        hub.found(&Key::Job(id), seq.map_or(Mark::Gone, Mark::Events));
    }
    let marks = catalog.upload_marks(&uploads).await?;
    for id in uploads {
        let mark = marks.get(&id).copied();
        hub.found(&Key::Upload(id), mark.map_or(Mark::Gone, Mark::Upload));
    }
    look_at_tenants(hub, catalog).await
}

/// Finds for whom of those who watch everything there is something new.
async fn look_at_tenants(hub: &Hub, catalog: &Catalog) -> Result<(), Error> {
    let tenants = hub.watched_tenants();
    let seqs = catalog.tenant_event_seqs(&tenants).await?;
    for tenant in tenants {
        let newest = seqs.get(&tenant).copied().unwrap_or(EventSeq(0));
        hub.found(&Key::Everything(tenant), Mark::Events(newest));
    }
    Ok(())
}
