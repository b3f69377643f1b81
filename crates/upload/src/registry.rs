//! The write streams of this process, so that a successor can end its predecessor at once, even if that is idle.
//!
//! Nothing but promptness depends on this: a writer that is not the newest can't commit.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reelway_domain::{UploadId, WriterEpoch};
use tokio_util::sync::CancellationToken;

use crate::meter;

/// Who writes which upload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    writers: Arc<Mutex<HashMap<UploadId, Writer>>>,
}

#[derive(Debug)]
struct Writer {
    epoch: WriterEpoch,
    fenced: CancellationToken,
}

/// A writer's entry; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Registry,
    upload: UploadId,
    epoch: WriterEpoch,
    fenced: CancellationToken,
}

impl Registry {
    /// Enters a writer and ends the one before it. `None` if a later one is there already.
    pub(crate) fn enter(&self, upload: UploadId, epoch: WriterEpoch) -> Option<Seat> {
        let fenced = CancellationToken::new();
        let writer = Writer {
            epoch,
            fenced: fenced.clone(),
        };
        match self.writers().entry(upload) {
            Entry::Occupied(there) if there.get().epoch > epoch => return None,
            Entry::Occupied(mut there) => there.insert(writer).fenced.cancel(),
            Entry::Vacant(free) => {
                free.insert(writer);
            }
        }
        meter::streams_open().increment(1);
        Some(Seat {
            registry: self.clone(),
            upload,
            epoch,
            fenced,
        })
    }

    /// Ends the writer of an upload, if there is one here.
    pub(crate) fn end(&self, upload: UploadId) {
        if let Some(writer) = self.writers().get(&upload) {
            writer.fenced.cancel();
        }
    }

    /// Ends the writer of an upload if it came before the one with this epoch.
    pub(crate) fn end_before(&self, upload: UploadId, epoch: WriterEpoch) {
        if let Some(writer) = self.writers().get(&upload)
            && writer.epoch < epoch
        {
            writer.fenced.cancel();
        }
    }

    /// Whether an upload is being written here.
    pub(crate) fn writes(&self, upload: UploadId) -> bool {
        self.writers().contains_key(&upload)
    }

    /// The uploads that are being written here.
    pub(crate) fn uploads(&self) -> Vec<UploadId> {
        self.writers().keys().copied().collect()
    }

    /// A panic elsewhere leaves the map whole: each change is one step.
    fn writers(&self) -> MutexGuard<'_, HashMap<UploadId, Writer>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Waits until this writer must stop.
    pub(crate) async fn fenced(&self) {
        self.fenced.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        meter::streams_open().decrement(1);
        if let Entry::Occupied(entry) = self.registry.writers().entry(self.upload)
            && entry.get().epoch == self.epoch
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_in_this_process() {
        let registry = Registry::default();
        let upload = UploadId::new();
        let first = registry.enter(upload, WriterEpoch(1)).unwrap();
        assert!(!first.fenced.is_cancelled());
        let third = registry.enter(upload, WriterEpoch(3)).unwrap();
        assert!(first.fenced.is_cancelled());
        assert!(registry.enter(upload, WriterEpoch(2)).is_none(), "too late");
        drop(first);
        assert!(!third.fenced.is_cancelled());
        registry.end(upload);
        assert!(third.fenced.is_cancelled());
        drop(third);
        assert!(registry.writers().is_empty(), "nothing is kept of streams that ended");
    }

    #[test]
    fn only_an_earlier_writer_is_ended() {
        let registry = Registry::default();
        let upload = UploadId::new();
        let second = registry.enter(upload, WriterEpoch(2)).unwrap();
        for epoch in [1, 2] {
            registry.end_before(upload, WriterEpoch(epoch));
            assert!(!second.fenced.is_cancelled());
        }
        registry.end_before(UploadId::new(), WriterEpoch(3));
        assert!(!second.fenced.is_cancelled());
        registry.end_before(upload, WriterEpoch(3));
        assert!(second.fenced.is_cancelled());
        assert_eq!(registry.uploads(), [upload]);
    }
}
