//! An upload on its way into a bucket, as its one writer sees it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use reelway_domain::{Multipart, Offset, Staged, StagedChange, StoredPart, StoredRest, UploadId, WriterEpoch, limits};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    BucketStore,
    budget::Room,
    buffer::Buffer,
    part::{Body, Load, SentPart, offset},
    schedule::{PART_NUMBER_MAX, part_bytes},
};
use crate::{BlobError, Extent, Synced, error::Asked as _};

/// Whoever finds no room for so long stores what it has, so that others find some.
const CROWDED_AFTER: std::time::Duration = std::time::Duration::from_millis(200);

/// The writer's handle. Clones are the same.
#[derive(Debug, Clone)]
pub struct StagedObject {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) bucket: BucketStore,
    pub(super) id: UploadId,
    pub(super) epoch: WriterEpoch,
    /// Parts are stored a second time, as objects that can be read at once.
    copies: bool,
    pub(super) state: Mutex<State>,
    slots: Arc<Semaphore>,
    /// How long the part is that is being filled.
    filling_bytes: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    /// The upload's length, once it is known.
    pub(super) size: Option<u64>,
    pub(super) multipart: Option<Multipart>,
    is_multipart_new: bool,
    /// Parts that the catalog knows.
    pub(super) parts: Vec<StoredPart>,
    next_number: u32,
    /// Parts that it doesn't know yet, in order.
    sent: Vec<SentPart>,
    /// Where the part begins that is being filled.
    pub(super) begin: u64,
    /// What is stored from there on, without a gap.
    pub(super) rests: Vec<StoredRest>,
    /// How many of them the catalog knows.
    rests_known: usize,
    /// Rests whose bytes were sent in a part, to be removed when the catalog knows it.
    spent: Vec<StoredRest>,
    /// What is in memory: from `begin` on, or from where the rests end.
    pub(super) buffer: Buffer,
}

/// What a part needs before it can be sent.
pub(super) struct Next {
    slot: OwnedSemaphorePermit,
    multipart: Multipart,
    number: u32,
}

/// Whether what a change records holds the bytes of this rest too.
fn is_covered(rest: &StoredRest, change: &StagedChange) -> bool {
    let in_parts = change.parts.last().is_some_and(|part| rest.to <= part.to());
    in_parts
        || change
            .rests
            .iter()
            .any(|new| new.key != rest.key && new.from <= rest.from && rest.to <= new.to)
}

impl State {
    /// From now on one object holds what these held.
    pub(super) fn replace_rests(&mut self) {
        let replaced = std::mem::take(&mut self.rests);
        self.spent.extend(replaced);
        self.rests_known = 0;
    }

    /// Where what is stored behind the last part ends.
    pub(super) fn rested(&self) -> u64 {
        self.rests.last().map_or(self.begin, |rest| rest.to.as_u64())
    }
}

impl BucketStore {
    /// Goes on with an upload that was begun, or begins it. With `copies` what has arrived can be read before all has.
    #[must_use]
    pub fn writer(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        size: Option<Offset>,
        staged: Staged,
        copies: bool,
    ) -> StagedObject {
        let begin = staged.parts.last().map_or(0, |part| part.to().as_u64());
        let written = staged.rests.last().map_or(begin, |rest| rest.to.as_u64());
        let size = size.map(Offset::as_u64);
        let filling_bytes = AtomicU64::new(part_bytes(begin, size));
        let state = State {
            size,
            multipart: staged.multipart,
            is_multipart_new: false,
            parts: staged.parts,
            next_number: staged.next_number,
            sent: Vec::new(),
            begin,
            rests_known: staged.rests.len(),
            rests: staged.rests,
            spent: Vec::new(),
            buffer: Buffer::at(written),
        };
        StagedObject {
            inner: Arc::new(Inner {
                bucket: self.clone(),
                id,
                epoch,
                copies,
                state: Mutex::new(state),
                slots: Arc::new(Semaphore::new(limits::PARTS_IN_FLIGHT_MAX)),
                filling_bytes,
            }),
        }
    }
}

impl StagedObject {
    /// Takes bytes in, which go to the bucket as parts become whole. They are durable only after [`Self::sync`]. Waits while
    /// there is no room for them in memory.
    ///
    /// # Errors
    /// [`BlobError::PartTooLong`] if there will never be room; those of storing what came before.
    pub async fn write_at(&self, at: Offset, mut bytes: Bytes) -> Result<(), BlobError> {
        let inner = &self.inner;
        let mut state = inner.state.lock().await;
        debug_assert_eq!(
            at.as_u64(),
            state.buffer.to(),
            "one writer writes one byte after the other"
        );
        while !bytes.is_empty() {
            let end = state.begin + inner.part_bytes(&state)?;
            let missing = usize::try_from(end - state.buffer.to()).unwrap_or(usize::MAX);
            let piece = bytes.split_to(missing.min(bytes.len()));
            let room = inner.room(&mut state, piece.len() as u64).await?;
            state.buffer.push(piece, room);
            if state.buffer.to() == end {
                inner.send_part(&mut state).await?;
            }
        }
        Ok(())
    }

    /// Makes durable what was written: the parts that are on their way, or everything. Gives what the catalog is to record, which
    /// counts once [`Self::recorded`] was told.
    ///
    /// # Errors
    /// Those of the bucket. Whoever goes on begins again at the durable offset, with a new handle.
    pub async fn sync(&self, extent: Extent) -> Result<Synced, BlobError> {
        let (arrivals, mut change, end) = {
            let mut state = self.inner.state.lock().await;
            if extent == Extent::Everything {
                self.inner.store_rest(&mut state).await?;
            }
            let change = StagedChange {
                multipart: state.multipart.clone().filter(|_| state.is_multipart_new),
                parts: Vec::new(),
                rests: state.rests[state.rests_known..].to_vec(),
            };
            let arrivals: Vec<_> = state.sent.iter().map(SentPart::arrival).collect();
            (arrivals, change, state.rested())
        };
        for arrival in arrivals {
            change.parts.push(arrival.stored().await?);
        }
        Ok(Synced {
            offset: offset(end),
            change,
        })
    }

    /// Takes over what the catalog has recorded of a sync, and removes what is not needed any more.
    pub async fn recorded(&self, change: &StagedChange) {
        let mut state = self.inner.state.lock().await;
        state.is_multipart_new &= change.multipart.is_none();
        let to = change.parts.last().map_or(0, |part| part.to().as_u64());
        state.sent.retain(|part| part.to > to);
        state.parts.extend(change.parts.iter().cloned());
        if let Some(last) = change.rests.last() {
            state.rests_known = state.rests.iter().take_while(|rest| rest.to <= last.to).count();
        }
        let spent = std::mem::take(&mut state.spent);
        let (gone, kept): (Vec<_>, _) = spent.into_iter().partition(|rest| is_covered(rest, change));
        state.spent = kept;
        drop(state);
        self.inner.bucket.remove_later(gone.into_iter().map(|rest| rest.key));
    }

    /// After so many new bytes a long stream has something to make durable without storing a rest.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.inner.filling_bytes.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// How long the part is that is being filled.
    fn part_bytes(&self, state: &State) -> Result<u64, BlobError> {
        let (part_bytes, memory_bytes_max) = (
            part_bytes(state.begin, state.size),
            self.bucket.inner.budget.bytes_max(),
        );
        if part_bytes > memory_bytes_max / 2 {
            return Err(BlobError::PartTooLong {
                part_bytes,
                memory_bytes_max,
            });
        }
        Ok(part_bytes)
    }

    /// Room for so many bytes. Who has to wait for it keeps none: what is in memory is stored first, so somebody always gets on.
    async fn room(&self, state: &mut State, bytes: u64) -> Result<Room, BlobError> {
        let budget = &self.bucket.inner.budget;
        if let Some(room) = budget.try_take(bytes) {
            return Ok(room);
        }
        if let Ok(room) = timeout(CROWDED_AFTER, budget.take(bytes)).await {
            return Ok(room);
        }
        self.store_rest(state).await?;
        drop(state.buffer.take());
        Ok(budget.take(bytes).await)
    }

    /// Sends what lies behind the last part, as the next one.
    pub(super) async fn send_part(&self, state: &mut State) -> Result<(), BlobError> {
        let (next, to) = (self.next(state).await?, state.buffer.to());
        let (pieces, rooms) = self.everything(state).await?;
        self.send(state, next, to, Body::Bytes { pieces, rooms });
        Ok(())
    }

    /// What the next part needs. Waits while as many are on their way as may be.
    pub(super) async fn next(&self, state: &mut State) -> Result<Next, BlobError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.expect("the semaphore is never closed");
        let (multipart, number) = (self.multipart(state).await?, state.next_number);
        if number > PART_NUMBER_MAX {
            let why = "all part numbers are used up: it was taken over too often";
            return Err(BlobError::PartLost {
                number,
                why: why.to_owned(),
            });
        }
        Ok(Next {
            slot,
            multipart,
            number,
        })
    }

    /// Sends what lies behind the last part up to `to`, which is this.
    pub(super) fn send(&self, state: &mut State, next: Next, to: u64, body: Body) {
        let Next {
            slot,
            multipart,
            number,
        } = next;
        let copies = self.copies && matches!(body, Body::Bytes { .. });
        let load = Load {
            number,
            from: state.begin,
            to,
            body,
            copy: copies.then(|| self.bucket.inner.names.seen(self.id, number)),
        };
        let store = Arc::clone(&self.bucket.inner);
        state.sent.push(SentPart::send(store, multipart, load, slot));
        state.next_number += 1;
        state.begin = to;
        self.filling_bytes.store(part_bytes(to, state.size), Ordering::Relaxed);
        state.replace_rests();
    }

    /// The multipart upload, begun if there is none.
    async fn multipart(&self, state: &mut State) -> Result<Multipart, BlobError> {
        if let Some(multipart) = &state.multipart {
            return Ok(multipart.clone());
        }
        let store = &self.bucket.inner;
        let key = store.names.source(self.id, self.epoch);
        let options = store.multipart_options();
        let id = store.multiparts.create_multipart_opts(&key, options).await;
        let multipart = Multipart {
            id: id.asked("begin a multipart upload of", &key)?,
            key: key.to_string(),
        };
        state.is_multipart_new = true;
        Ok(state.multipart.insert(multipart).clone())
    }
}
