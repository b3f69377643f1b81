//! Putting one upload together from its parts: a writer like any other, whose bytes come from the store.

use std::sync::Arc;

use reelway_blob::Filling;
use reelway_domain::{Failure, Reason, UploadId};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{
    answers::Answers,
    ended::Stopped,
    join_feed::{Feed, PIECES_MAX},
    join_plan::Plan,
    server::Shared,
    writer::Writer,
};

/// Renewals within a lease, so that two may be lost.
const RENEWALS_PER_LEASE: u32 = 3;

impl Shared {
    /// Copies what is there of an upload's parts, from the durable offset on, and completes it if that is everything.
    pub(crate) async fn put_together(self: Arc<Self>, id: UploadId) -> Result<(), Stopped> {
        let (process, lease) = (self.store.writer_id(), self.settings.join_lease);
        let Some(row) = self.catalog.open_joiner(id, process, lease).await? else {
            return Ok(());
        };
        if row.file_epoch.0 == row.writer_epoch.0 {
            self.announce(&row);
        }
        let (file, seat) = self.enter(&row).await?;
        let mut writer = Writer::new(Arc::clone(&self), row.clone(), file, &seat);
        let joined = tokio::select! {
            biased;
            () = seat.fenced() => Err(Stopped::Fenced),
            () = self.renewed(&row) => Err(Stopped::Fenced),
            joined = writer.join() => joined,
        };
        if joined.is_ok() {
            writer.let_go().await;
        }
        joined
    }

    /// Renews the row as long as its writer is the newest.
    async fn renewed(&self, row: &reelway_catalog::Upload) {
        let mut regularly = interval(self.settings.join_lease / RENEWALS_PER_LEASE);
        regularly.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            regularly.tick().await;
            match self.catalog.keep_joining(row.id, row.writer_epoch).await {
                Ok(true) => {}
                Ok(false) => return,
                // Nobody can commit either, so whoever takes over begins at the same offset.
                Err(error) => tracing::debug!(%error, "an upload's row was not renewed"),
            }
        }
    }
}

impl Writer {
    async fn join(&mut self) -> Result<(), Stopped> {
        let parts = self.shared.catalog.join_parts(self.row.id).await?;
        let plan = match Plan::of(&self.row, &parts) {
            Ok(plan) => plan,
            Err(failure) => return self.give_up(failure).await,
        };
        if let Some(size) = plan.size {
            self.declare(size).await?;
        }
        let (pieces, arriving) = mpsc::channel(PIECES_MAX);
        let shared = Arc::clone(&self.shared);
        let feed = Feed::new(&shared, pieces, self.filling(&plan).await?);
        let (read, written) = tokio::join!(
            async { shared.shutdown.run_until_cancelled(feed.run(&plan)).await },
            self.run(arriving, &Answers::AtEnd)
        );
        match written {
            // No room comes of waiting: whoever makes some can put the parts together again.
            Err(Stopped::Failed(failure)) if failure.reason == Reason::QuotaExceeded => self.give_up(failure).await,
            written => {
                written?;
                Ok(read.unwrap_or(Ok(()))?)
            }
        }
    }

    /// Where the upload is if the store is to copy the parts into it by itself. What it copies can be read only when the upload is
    /// complete. So where somebody reads what arrives, it does so once all parts are there, which takes little time then.
    async fn filling(&self, plan: &Plan) -> Result<Option<Filling>, Stopped> {
        let filling = self.file.filling().await;
        if filling.is_none() || self.row.job.is_none() {
            return Ok(filling);
        }
        if !plan.is_whole {
            return Ok(None);
        }
        let (id, epoch, expiry) = (self.row.id, self.row.writer_epoch, self.shared.settings.expiry);
        match self.shared.catalog.read_when_whole(id, epoch, expiry).await? {
            true => Ok(filling),
            false => Err(Stopped::Fenced),
        }
    }

    /// Fails the upload, because it can't become complete.
    async fn give_up(&mut self, failure: Failure) -> Result<(), Stopped> {
        match self.fail(failure).await {
            // As it is to be.
            Stopped::Failed(_) if self.row.state.is_terminal() => Ok(()),
            stopped => Err(stopped),
        }
    }
}
