//! A part on its way to the bucket.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use reelway_domain::{Multipart, Offset, StoredPart};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{Inner, budget::Room, buffer::payload};
use crate::BlobError;

/// A part that was sent. Dropped before it is there, it is not waited for any more; it may get there all the same.
#[derive(Debug)]
pub(super) struct SentPart {
    pub(super) number: u32,
    pub(super) from: u64,
    pub(super) to: u64,
    done: watch::Receiver<Option<Result<String, String>>>,
    _task: AbortOnDropHandle<()>,
}

/// Waits for a part that was sent.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    number: u32,
    from: u64,
    to: u64,
    done: watch::Receiver<Option<Result<String, String>>>,
}

/// What is sent.
pub(super) struct Load {
    pub(super) number: u32,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) body: Body,
    /// Where a copy goes that can be read at once; not of what is in the bucket already.
    pub(super) copy: Option<Path>,
}

/// Where a part's bytes are.
pub(super) enum Body {
    /// Here, with the room that they take, which is given back when the part is there.
    Bytes { pieces: Vec<Bytes>, rooms: Vec<Room> },
    /// In another object of the bucket.
    Object { source: Path, range: Range<u64> },
}

impl SentPart {
    /// Sends a part in a task of its own. `slot` is given back when it is there, or lost.
    pub(super) fn send(store: Arc<Inner>, multipart: Multipart, load: Load, slot: OwnedSemaphorePermit) -> Self {
        let (tell, done) = watch::channel(None);
        let (number, from, to) = (load.number, load.from, load.to);
        let task = tokio::spawn(async move {
            match load.body {
                Body::Object { source, range } => {
                    let copied = store.copy_part(&multipart, number, &source, range).await;
                    tell.send_replace(Some(copied.map_err(|error| error.to_string())));
                }
                Body::Bytes { pieces, rooms } => {
                    let (key, index) = (Path::from(multipart.key.as_str()), number.saturating_sub(1) as usize);
                    let body = payload(pieces);
                    let sent = store.multiparts.put_part(&key, &multipart.id, index, body.clone());
                    // Both before it counts: who is told of it can read it, and nothing is stored behind the upload's end.
                    let (sent, ()) = tokio::join!(sent, store.put_copy(load.copy.as_ref(), body));
                    tell.send_replace(Some(
                        sent.map(|part| part.content_id).map_err(|error| error.to_string()),
                    ));
                    drop(rooms);
                }
            }
            drop(slot);
        });
        Self {
            number,
            from,
            to,
            done,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub(super) fn arrival(&self) -> Arrival {
        Arrival {
            number: self.number,
            from: self.from,
            to: self.to,
            done: self.done.clone(),
        }
    }
}

impl Inner {
    /// Stores what can be read before the upload is complete, if that is wanted.
    async fn put_copy(&self, copy: Option<&Path>, body: PutPayload) {
        if let Some(copy) = copy
            && let Err(error) = self.objects.put(copy, body).await
        {
            // Work begins later then: when the upload is complete.
            tracing::warn!(%error, key = %copy, "a part can't be read before its upload is complete");
        }
    }
}

impl Arrival {
    /// Waits until the bucket has the part.
    ///
    /// # Errors
    /// [`BlobError::PartLost`] if it was not stored, or nobody waits for its answer any more.
    pub(super) async fn stored(mut self) -> Result<StoredPart, BlobError> {
        let number = self.number;
        let lost = |why: String| BlobError::PartLost { number, why };
        let done = match self.done.wait_for(Option::is_some).await {
            Ok(done) => done.clone(),
            Err(_) => return Err(lost("its writer has gone".to_owned())),
        };
        let etag = done
            .unwrap_or_else(|| Err("its writer has gone".to_owned()))
            .map_err(lost)?;
        Ok(StoredPart {
            number,
            from: offset(self.from),
            size_bytes: offset(self.to - self.from).0,
            etag,
        })
    }
}

/// An offset from what object stores count with. Uploads are shorter than `i64` counts.
pub(super) fn offset(at: u64) -> Offset {
    Offset(i64::try_from(at).unwrap_or(i64::MAX))
}
