//! Bytes behind the last part, too few to be a part: stored as objects, and read back when they become one.

use bytes::Bytes;
use object_store::{ObjectStoreExt as _, path::Path};
use reelway_domain::StoredRest;

use super::{
    budget::Room,
    buffer::payload,
    part::offset,
    staged::{Inner, State},
};
use crate::{BlobError, error::Asked as _};

/// With more objects than this, the next one holds all their bytes: reading them back must not take for ever.
const RESTS_MAX: usize = 64;

impl Inner {
    /// Stores what no part and no rest holds, as one object more.
    pub(super) async fn store_rest(&self, state: &mut State) -> Result<(), BlobError> {
        let (mut from, to) = (state.rested(), state.buffer.to());
        if from == to {
            return Ok(());
        }
        let store = &self.bucket.inner;
        let mut pieces = state.buffer.since(from);
        if state.rests.len() >= RESTS_MAX {
            let _room = store.reloads.take(from - state.begin).await;
            let mut all = self.read_back(&state.rests).await?;
            all.append(&mut pieces);
            (from, pieces) = (state.begin, all);
        }
        let key = store.names.rest(self.id, self.epoch, to);
        let stored = store.objects.put(&key, payload(pieces)).await;
        stored.asked("store", &key)?;
        if from == state.begin {
            state.replace_rests();
        }
        state.rests.push(StoredRest {
            key: key.to_string(),
            from: offset(from),
            to: offset(to),
        });
        Ok(())
    }

    /// All bytes behind the last part, from the bucket and from memory, with the room that they take. They are not in the buffer then.
    pub(super) async fn everything(&self, state: &mut State) -> Result<(Vec<Bytes>, Vec<Room>), BlobError> {
        let begin = state.buffer.from();
        if begin == state.begin {
            return Ok(state.buffer.take());
        }
        // Beside the budget, or all of it could be taken by those who wait here.
        let room = self.bucket.inner.reloads.take(begin - state.begin).await;
        let rests: Vec<StoredRest> = state
            .rests
            .iter()
            .filter(|rest| rest.to.as_u64() <= begin)
            .cloned()
            .collect();
        let mut all = self.read_back(&rests).await?;
        let (mut pieces, mut rooms) = state.buffer.take();
        all.append(&mut pieces);
        rooms.push(room);
        Ok((all, rooms))
    }

    async fn read_back(&self, rests: &[StoredRest]) -> Result<Vec<Bytes>, BlobError> {
        let mut pieces = Vec::with_capacity(rests.len());
        for rest in rests {
            let key = Path::from(rest.key.as_str());
            let object = self.bucket.inner.objects.get(&key).await.asked("read", &key)?;
            let bytes = object.bytes().await.asked("read", &key)?;
            let (have, expected) = (bytes.len() as u64, (rest.to.0 - rest.from.0).unsigned_abs());
            if have != expected {
                let path = rest.key.clone().into();
                return Err(BlobError::Short { path, have, expected });
            }
            pieces.push(bytes);
        }
        Ok(pieces)
    }
}
