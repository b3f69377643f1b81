//! Finds uploads that are to be put together from others, and sees to it that somebody does it.
//!
//! Every upload server looks. The catalog gives each upload to one of them; what a server leaves that died in between goes to
//! another one when it hasn't been heard of for [`crate::Settings::join_lease`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use reelway_catalog::Upload;
use reelway_domain::{Failure, UploadId, limits};
use tokio::{
    task::{Id, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tracing::{Instrument as _, info_span};

use crate::{UploadServer, ended::Stopped, join_plan::Plan, server::Shared};

/// Uploads that one server puts together at the same time.
const JOINS_MAX: usize = 4;
/// Uploads that are looked at in one statement.
const PAGE_MAX: usize = 100;
/// The shortest time between two looks, however often there is reason to.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// What this server puts together at the moment.
#[derive(Default)]
struct Joins {
    tasks: JoinSet<Result<(), Stopped>>,
    uploads: HashMap<Id, UploadId>,
}

impl UploadServer {
    /// Puts joined uploads together until shutdown. What is under way then is left to any server, at the offset that it has come
    /// to. Run it beside [`Self::follow`], which wakes it.
    pub async fn join(self) {
        let (shared, mut joins) = (self.shared, Joins::default());
        let mut regularly = interval(limits::SCAN_EVERY);
        regularly.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => break,
                Some(ended) = joins.ended() => if !ended { continue },
                () = shared.parts_changed.notified() => {}
                _ = regularly.tick() => {}
            }
            let look = async {
                if let Err(failure) = look(&shared, &mut joins).await {
                    tracing::debug!(%failure, "uploads to be put together were not looked for");
                }
                tokio::time::sleep(PAUSE_MIN).await;
            };
            shared.shutdown.run_until_cancelled(look).await;
        }
        while joins.ended().await.is_some() {}
    }
}

impl Joins {
    fn has_room(&self) -> bool {
        self.tasks.len() < JOINS_MAX
    }

    fn begin(&mut self, shared: &Arc<Shared>, upload: &Upload) {
        let (shared, id) = (Arc::clone(shared), upload.id);
        let span = info_span!("join upload", upload.id = %id);
        let task = self
            .tasks
            .spawn(async move { shared.put_together(id).await }.instrument(span));
        self.uploads.insert(task.id(), id);
    }

    /// The end of one of them: whether it did what there was to do. One that didn't is tried again, but not at once.
    async fn ended(&mut self) -> Option<bool> {
        let ended = self.tasks.join_next_with_id().await?;
        let (task, is_done) = match ended {
            Ok((task, Ok(()) | Err(Stopped::Fenced))) => (task, true),
            Ok((task, Err(Stopped::Failed(failure)))) => {
                let id = self.uploads.get(&task);
                tracing::warn!(upload.id = id.map(tracing::field::display), %failure, "upload was not put together");
                (task, false)
            }
            Err(error) => {
                tracing::error!(%error, "putting an upload together did not end");
                (error.id(), false)
            }
        };
        self.uploads.remove(&task);
        Some(is_done)
    }
}

/// Begins what is due and nobody does.
async fn look(shared: &Arc<Shared>, joins: &mut Joins) -> Result<(), Failure> {
    let (writer, lease) = (shared.store.writer_id(), shared.settings.join_lease);
    let mut after = None;
    while joins.has_room() {
        let page = shared
            .catalog
            .uploads_to_join(writer, lease, after, PAGE_MAX as i64)
            .await?;
        after = page.last().map(|upload| upload.id);
        for upload in &page {
            let is_ours = joins.uploads.values().any(|id| *id == upload.id);
            if !is_ours && joins.has_room() && is_due(shared, upload).await? {
                joins.begin(shared, upload);
            }
        }
        if page.len() < PAGE_MAX {
            break;
        }
    }
    Ok(())
}

/// Whether there is anything to do for an upload. One that only waits is not opened.
async fn is_due(shared: &Shared, upload: &Upload) -> Result<bool, Failure> {
    let parts = shared.catalog.join_parts(upload.id).await?;
    // One that can't become complete is to be failed.
    Ok(Plan::of(upload, &parts).map_or(true, |plan| plan.is_due(upload)))
}
