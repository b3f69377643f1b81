//! What a joined upload's writer is given: bytes of its parts, or where the store finds them to copy them itself.

use std::sync::Arc;

use bytes::Bytes;
use reelway_blob::{BlobError, Filling, Step};
use reelway_domain::{Offset, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    intake::{Data, Piece, Stored, Then},
    join_plan::{Plan, Run},
    server::Shared,
};

/// Pieces of one upload that are in memory, at most: one that is being written and one that waits.
pub(crate) const PIECES_MAX: usize = 2;

/// Where pieces go.
type Pieces = mpsc::Sender<(Piece, OwnedSemaphorePermit)>;

/// Why not everything was handed on.
enum Halt {
    /// The writer takes no more; it says why.
    Ended,
    /// A part can't be read.
    Failed(BlobError),
}

impl From<BlobError> for Halt {
    fn from(error: BlobError) -> Self {
        Self::Failed(error)
    }
}

/// Feeds one writer.
pub(crate) struct Feed<'a> {
    shared: &'a Shared,
    pieces: Pieces,
    rooms: Arc<Semaphore>,
    /// If the store copies.
    filling: Option<Filling>,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(shared: &'a Shared, pieces: Pieces, filling: Option<Filling>) -> Self {
        Self {
            shared,
            pieces,
            rooms: Arc::new(Semaphore::new(PIECES_MAX)),
            filling,
        }
    }

    /// Hands on all runs, and the end if they lead there.
    ///
    /// # Errors
    /// If a part can't be read.
    pub(crate) async fn run(mut self, plan: &Plan) -> Result<(), BlobError> {
        match self.hand_on_all(plan).await {
            Ok(()) | Err(Halt::Ended) => Ok(()),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    async fn hand_on_all(&mut self, plan: &Plan) -> Result<(), Halt> {
        for run in &plan.runs {
            self.hand_on(run).await?;
        }
        if let (true, Some(size)) = (plan.is_whole, plan.size) {
            let (room, end) = (self.room().await?, Offset(size));
            self.send(room, end, Bytes::new().into(), Then::Finish(end)).await?;
        }
        Ok(())
    }

    async fn hand_on(&mut self, run: &Run) -> Result<(), Halt> {
        let (mut from, mut at) = (run.from, run.at);
        while from < run.to {
            let left = (run.to.0 - from.0).unsigned_abs();
            let step = self.filling.as_mut().map(|filling| filling.step(left));
            let bytes = match step.unwrap_or(Step::Carry(left)) {
                Step::Copy(bytes) => {
                    let (room, place) = (self.room().await?, run.place.clone());
                    let data = Data::Stored(Stored { place, from, bytes });
                    self.send(room, at, data, Then::GoOn).await?;
                    bytes
                }
                Step::Carry(bytes) => {
                    self.carry(run, from, at, bytes).await?;
                    bytes
                }
            };
            from = Offset(from.0.saturating_add_unsigned(bytes));
            at = Offset(at.0.saturating_add_unsigned(bytes));
        }
        Ok(())
    }

    /// Reads so many bytes and hands them on.
    async fn carry(&self, run: &Run, mut from: Offset, mut at: Offset, bytes: u64) -> Result<(), Halt> {
        let source = self.shared.store.read_upload(&run.place).await?;
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        while left > 0 {
            // Room first: what has no place yet stays in the store.
            let room = self.room().await?;
            let data = source.read_at(from, left.min(limits::CHUNK_BYTES_MAX)).await?;
            let (offset, bytes) = (at, data.len());
            (from, at, left) = (from.advanced(bytes), at.advanced(bytes), left - bytes);
            self.send(room, offset, data.into(), Then::GoOn).await?;
        }
        Ok(())
    }

    async fn room(&self) -> Result<OwnedSemaphorePermit, Halt> {
        Arc::clone(&self.rooms).acquire_owned().await.map_err(|_| Halt::Ended)
    }

    async fn send(&self, room: OwnedSemaphorePermit, offset: Offset, data: Data, then: Then) -> Result<(), Halt> {
        let piece = Piece { offset, data, then };
        self.pieces.send((piece, room)).await.map_err(|_| Halt::Ended)
    }
}
