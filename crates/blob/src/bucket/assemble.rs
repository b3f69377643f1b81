//! Making one object of what arrived.

use object_store::{ObjectStore as _, ObjectStoreExt as _, path::Path};
use reelway_domain::{Multipart, Offset, StoredPart, StoredRest};

use super::{ListedPart, StagedObject, buffer::payload, part::offset, staged::State, wire::WireError};
use crate::{BlobError, Extent, Synced, error::Asked as _};

/// What stores answer to a completion that names a part which they have otherwise.
const CHANGED: &str = "InvalidPart";

impl StagedObject {
    /// Ends the upload at `size` bytes, which is what was written: sends the last part, however short. Gives what the catalog is to
    /// record before [`Self::assemble`] is called. An upload that is no longer than one part stays as it is.
    ///
    /// # Errors
    /// [`BlobError::Short`] if bytes are missing; as [`Self::sync`] otherwise.
    pub async fn finish(&self, size: Offset) -> Result<Synced, BlobError> {
        {
            let mut state = self.inner.state.lock().await;
            let (have, expected) = (state.buffer.to(), size.as_u64());
            if have != expected {
                let path = self.inner.id.to_string().into();
                return Err(BlobError::Short { path, have, expected });
            }
            state.size = Some(expected);
            let is_multipart = state.multipart.is_some() || state.begin > 0;
            if is_multipart && state.begin < expected {
                self.inner.send_part(&mut state).await?;
            }
        }
        self.sync(Extent::Parts).await
    }

    /// Makes the upload one object, after what [`Self::finish`] gave was recorded, and gives its key. Doing it again gives the same,
    /// also if the answer to the first time was lost.
    ///
    /// # Errors
    /// [`BlobError::PartsChanged`] if the bucket has parts otherwise than they counted; [`BlobError::Short`] if the object doesn't have the
    /// upload's length, and those of the bucket.
    pub async fn assemble(&self, size: Offset) -> Result<String, BlobError> {
        let mut state = self.inner.state.lock().await;
        let key = match state.multipart.clone() {
            Some(multipart) => self.complete(&multipart, &state.parts).await?,
            None => self.put_whole(&mut state).await?,
        };
        drop(state);
        let objects = &self.inner.bucket.inner.objects;
        let found = objects.head(&key).await.asked("look at", &key)?;
        if found.size != size.as_u64() {
            return Err(BlobError::Short {
                path: key.to_string().into(),
                have: found.size,
                expected: size.as_u64(),
            });
        }
        Ok(key.to_string())
    }

    async fn complete(&self, multipart: &Multipart, parts: &[StoredPart]) -> Result<Path, BlobError> {
        let (bucket, key) = (&self.inner.bucket, Path::from(multipart.key.as_str()));
        let lost: Vec<u32> = numbers(parts, StoredPart::is_lost);
        if !lost.is_empty() {
            return Err(BlobError::PartsChanged { numbers: lost });
        }
        let refused = match bucket.inner.wire.complete(&key, &multipart.id, parts).await {
            // It is complete already if the object is there: who looks for its length next finds out.
            Ok(()) | Err(WireError::NoSuchUpload) => return Ok(key),
            Err(error) => error,
        };
        if matches!(&refused, WireError::Refused { body, .. } if body.contains(CHANGED)) {
            let numbers = self.changed(multipart, parts).await?;
            if !numbers.is_empty() {
                return Err(BlobError::PartsChanged { numbers });
            }
        }
        Err(BlobError::Remote {
            operation: "complete the multipart upload of",
            key: key.to_string(),
            source: Box::new(refused),
        })
    }

    /// Which parts the bucket has otherwise than they counted, or not at all. Whatever it has beside a part is a change too: a store that
    /// keeps both doesn't refuse the earlier one.
    async fn changed(&self, multipart: &Multipart, parts: &[StoredPart]) -> Result<Vec<u32>, BlobError> {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return Ok(Vec::new());
        };
        let there = self.inner.bucket.parts_there(multipart, first.number, last.number);
        let there = there.await?;
        Ok(numbers(parts, |part| {
            let is_same = |listed: &ListedPart| {
                listed.etag.trim_matches('"') == part.etag.trim_matches('"')
                    && listed.size_bytes == part.size_bytes.unsigned_abs()
            };
            let mut versions = there.iter().filter(|listed| listed.number == part.number).peekable();
            versions.peek().is_none() || !versions.all(is_same)
        }))
    }

    /// An upload without parts: the one rest that holds all of it, or an object made of all that there is.
    async fn put_whole(&self, state: &mut State) -> Result<Path, BlobError> {
        let is_stored = state.rested() == state.buffer.to();
        if let ([whole], true) = (state.rests.as_slice(), is_stored) {
            return Ok(Path::from(whole.key.as_str()));
        }
        let key = self.inner.bucket.inner.names.source(self.inner.id, self.inner.epoch);
        let (pieces, _rooms) = self.inner.everything(state).await?;
        let store = &self.inner.bucket.inner;
        let options = store.attributes().into();
        let put = store.objects.put_opts(&key, payload(pieces), options).await;
        put.asked("store", &key)?;
        // Now it is one object that holds all of it.
        state.replace_rests();
        state.rests.push(StoredRest {
            key: key.to_string(),
            from: Offset::ZERO,
            to: offset(state.buffer.to()),
        });
        Ok(key)
    }
}

fn numbers(parts: &[StoredPart], is_one: impl Fn(&StoredPart) -> bool) -> Vec<u32> {
    parts
        .iter()
        .filter(|part| is_one(part))
        .map(|part| part.number)
        .collect()
}
