//! The lookout: one reader of the catalog for all watchers of a server. It finds what no hint told of, so that ten thousand
//! watchers cost a few statements every two seconds and not as many each.

use std::{collections::HashMap, time::Duration};

use reelway_catalog::{Catalog, Error, UploadMark};
use reelway_domain::{EventSeq, JobId, Tenant, UploadId};
use tokio::time::{MissedTickBehavior, interval};

use crate::{Hub, signal::Key};

/// What was seen last of everything that somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    jobs: HashMap<JobId, Option<EventSeq>>,
    uploads: HashMap<UploadId, Option<UploadMark>>,
    everything: Option<EventSeq>,
    is_blind: bool,
}

impl Lookout {
    /// Looks until it is dropped.
    pub(crate) async fn run(mut self, hub: &Hub, catalog: &Catalog, every: Duration) {
        let mut next = interval(every);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            match self.look(hub, catalog).await {
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

    async fn look(&mut self, hub: &Hub, catalog: &Catalog) -> Result<(), Error> {
        let (mut jobs, mut uploads, mut everything) = (Vec::new(), Vec::new(), false);
        for key in hub.watched() {
            match key {
                Key::Job(id) => jobs.push(id),
                Key::Upload(id) => uploads.push(id),
                Key::Everything => everything = true,
            }
        }
        let seqs = catalog.event_seqs(&jobs).await?;
        for id in &jobs {
            if let Some(seq) = seqs.get(id) {
                hub.told(*id, *seq);
            }
        }
        renew(&mut self.jobs, &jobs, &seqs, |id| hub.look(Key::Job(id)));
        let marks = catalog.upload_marks(&uploads).await?;
        renew(&mut self.uploads, &uploads, &marks, |id| hub.look(Key::Upload(id)));
        let newest = match everything {
            true => Some(catalog.tenant_event_seq(&Tenant::single()).await?),
            false => None,
        };
        if newest != self.everything {
            self.everything = newest;
            hub.look(Key::Everything);
        }
        Ok(())
    }
}

/// Tells of everything that is not as it was seen last, or is seen for the first time: its watcher may have looked before the
/// change.
fn renew<I, S>(seen: &mut HashMap<I, Option<S>>, watched: &[I], now: &HashMap<I, S>, changed: impl Fn(I))
where
    I: Copy + Eq + std::hash::Hash,
    S: Copy + PartialEq,
{
    let mut renewed = HashMap::with_capacity(watched.len());
    for id in watched {
        let state = now.get(id).copied();
        if seen.get(id) != Some(&state) {
            changed(*id);
        }
        renewed.insert(*id, state);
    }
    *seen = renewed;
}
