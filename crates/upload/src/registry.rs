//! The write streams of this process, so that a successor can end its predecessor at once, even if that is idle.
//!
//! Nothing but promptness depends on this: a writer that is not the newest can't commit.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use std::time::Duration;

use reelway_domain::{Offset, UploadId, WriterEpoch};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::meter;

/// A writer that is asked to end takes in what is there already: until nothing has come for so long.
const SILENCE: Duration = Duration::from_millis(50);
/// But no longer than this, however fast more comes.
const TAKING_MAX: Duration = Duration::from_millis(250);

/// Who writes which upload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    writers: Arc<Mutex<HashMap<UploadId, Writer>>>,
}

#[derive(Debug)]
struct Writer {
    epoch: WriterEpoch,
    fenced: CancellationToken,
    /// Since when somebody wants it to end.
    asked: watch::Sender<Option<Instant>>,
    /// A task waits until so much is durable.
    wanted: watch::Sender<Option<Offset>>,
    gone: CancellationToken,
}

/// A writer's entry; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Registry,
    upload: UploadId,
    epoch: WriterEpoch,
    fenced: CancellationToken,
    asked: watch::Receiver<Option<Instant>>,
    wanted: watch::Receiver<Option<Offset>>,
    gone: CancellationToken,
}

impl Registry {
    /// Enters a writer and ends the one before it. `None` if a later one is there already.
    pub(crate) fn enter(&self, upload: UploadId, epoch: WriterEpoch) -> Option<Seat> {
        let (fenced, gone) = (CancellationToken::new(), CancellationToken::new());
        let (asking, asked) = watch::channel(None);
        let (wanting, wanted) = watch::channel(None);
        let writer = Writer {
            epoch,
            fenced: fenced.clone(),
            asked: asking,
            wanted: wanting,
            gone: gone.clone(),
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
            asked,
            wanted,
            gone,
        })
    }

    /// Asks the writer of an upload to make durable what it got, and to end; one with a later epoch than `up_to` is not meant.
    /// Gives what tells when it is gone; `None` if there is no such writer here.
    pub(crate) fn ask(&self, upload: UploadId, up_to: Option<WriterEpoch>) -> Option<CancellationToken> {
        let writers = self.writers();
        let writer = writers
            .get(&upload)
            .filter(|writer| up_to.is_none_or(|last| writer.epoch <= last))?;
        writer.asked.send_if_modified(|asked| {
            let is_first = asked.is_none();
            asked.get_or_insert_with(Instant::now);
            is_first
        });
        Some(writer.gone.clone())
    }

    /// Tells the writer of an upload that a task waits until so much is durable.
    pub(crate) fn want(&self, upload: UploadId, wake_at: Option<Offset>) {
        if let Some(writer) = self.writers().get(&upload) {
            writer.wanted.send_replace(wake_at);
        }
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

    /// What tells how much is to be durable before a task can begin.
    pub(crate) fn wanted(&self) -> watch::Receiver<Option<Offset>> {
        self.wanted.clone()
    }

    /// Waits until somebody wants this writer to end, and nothing has come since this was called, or enough was taken in.
    pub(crate) async fn asked(&self) {
        let mut asked = self.asked.clone();
        let since = asked.wait_for(Option::is_some).await.map(|since| *since);
        match since {
            Ok(Some(since)) => sleep_until((Instant::now() + SILENCE).min(since + TAKING_MAX)).await,
            // A later writer has the entry, so this one is fenced.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gone.cancel();
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

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_is_asked_takes_in_what_comes_at_once() {
        let registry = Registry::default();
        let upload = UploadId::new();
        assert!(registry.ask(upload, None).is_none());
        let seat = registry.enter(upload, WriterEpoch(2)).unwrap();
        assert!(registry.ask(upload, Some(WriterEpoch(1))).is_none(), "it came later");
        let gone = registry.ask(upload, Some(WriterEpoch(2))).unwrap();
        let begin = Instant::now();
        seat.asked().await;
        assert!(begin.elapsed() >= SILENCE);
        while begin.elapsed() < TAKING_MAX {
            registry.ask(upload, None).unwrap();
            seat.asked().await;
        }
        let begin = Instant::now();
        seat.asked().await;
        assert!(begin.elapsed() < SILENCE, "asking again doesn't prolong it");
        assert!(!gone.is_cancelled());
        drop(seat);
        assert!(gone.is_cancelled());
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
