//! Putting one upload together from its parts: a writer like any other, whose bytes come from the store.

use std::sync::Arc;

use reelway_blob::BlobError;
use reelway_domain::{Failure, Offset, Reason, UploadId, limits};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};

use crate::{
    answers::Answers,
    ended::Stopped,
    intake::{Piece, Then},
    join_plan::{Plan, Run},
    server::Shared,
    writer::Writer,
};

/// Pieces of one upload that are in memory, at most: one that is being written and one that waits.
const PIECES_MAX: usize = 2;
/// Renewals within a lease, so that two may be lost.
const RENEWALS_PER_LEASE: u32 = 3;

/// Where pieces go.
type Pieces = mpsc::Sender<(Piece, OwnedSemaphorePermit)>;

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
        let (read, written) = tokio::join!(
            async { shared.shutdown.run_until_cancelled(feed(&shared, &plan, pieces)).await },
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

    /// Fails the upload, because it can't become complete.
    async fn give_up(&mut self, failure: Failure) -> Result<(), Stopped> {
        match self.fail(failure).await {
            // As it is to be.
            Stopped::Failed(_) if self.row.state.is_terminal() => Ok(()),
            stopped => Err(stopped),
        }
    }
}

/// Hands on all runs, and the end if they lead there.
async fn feed(shared: &Shared, plan: &Plan, pieces: Pieces) -> Result<(), BlobError> {
    let rooms = Arc::new(Semaphore::new(PIECES_MAX));
    for run in &plan.runs {
        if !feed_run(shared, run, &pieces, &rooms).await? {
            return Ok(());
        }
    }
    if let (true, Some(size), Ok(room)) = (plan.is_whole, plan.size, rooms.acquire_owned().await) {
        let end = Piece {
            offset: Offset(size),
            data: bytes::Bytes::new(),
            then: Then::Finish(Offset(size)),
        };
        // If the writer has stopped, it says why.
        let _ = pieces.send((end, room)).await;
    }
    Ok(())
}

/// Hands on one run. `false` if the writer takes no more.
async fn feed_run(shared: &Shared, run: &Run, pieces: &Pieces, rooms: &Arc<Semaphore>) -> Result<bool, BlobError> {
    let source = shared.store.read_upload(&run.place).await?;
    let (mut from, mut at) = (run.from, run.at);
    while from < run.to {
        // Room first: what has no place yet stays in the store.
        let Ok(room) = Arc::clone(rooms).acquire_owned().await else {
            return Ok(false);
        };
        let left = usize::try_from(run.to.0 - from.0).unwrap_or(usize::MAX);
        let data = source.read_at(from, left.min(limits::CHUNK_BYTES_MAX)).await?;
        let (offset, bytes) = (at, data.len());
        (from, at) = (from.advanced(bytes), at.advanced(bytes));
        let then = Then::GoOn;
        if pieces.send((Piece { offset, data, then }, room)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
