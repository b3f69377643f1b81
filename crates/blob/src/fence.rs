//! Keeps an upload's writers apart within this process.
//!
//! The catalog refuses the commits of a writer that was superseded, but a write that it had begun could still land on
//! bytes that its successor has acknowledged. So each write holds its upload's gate, and a successor passes the gate
//! before it writes: it waits for at most the one write that is under way. Writers in other processes don't come by here:
//! each process writes files of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reelway_domain::{UploadId, WriterEpoch};

use crate::BlobError;

/// The gates of all uploads that are being written.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    gates: Mutex<HashMap<UploadId, Arc<Gate>>>,
}

/// One writer's place at its upload's gate.
#[derive(Debug)]
pub(crate) struct Place {
    fences: Arc<Fences>,
    gate: Arc<Gate>,
    upload: UploadId,
    epoch: WriterEpoch,
}

/// Holds the newest writer's number; locked while bytes are written.
type Gate = Mutex<WriterEpoch>;

impl Fences {
    /// Takes over the upload. Afterwards no write of an earlier writer is under way, and none will begin.
    ///
    /// # Errors
    /// [`BlobError::Superseded`] if a later writer is there already.
    pub(crate) fn take_over(self: &Arc<Self>, upload: UploadId, epoch: WriterEpoch) -> Result<Place, BlobError> {
        let gate = Arc::clone(locked(&self.gates).entry(upload).or_default());
        let place = Place {
            fences: Arc::clone(self),
            gate,
            upload,
            epoch,
        };
        let mut newest = locked(&place.gate);
        if *newest > epoch {
            return Err(BlobError::Superseded { by: *newest });
        }
        *newest = epoch;
        drop(newest);
        Ok(place)
    }
}

impl Place {
    /// Runs `write` while nobody else can write this upload.
    pub(crate) fn hold<T>(&self, write: impl FnOnce() -> Result<T, BlobError>) -> Result<T, BlobError> {
        let newest = locked(&self.gate);
        if *newest != self.epoch {
            return Err(BlobError::Superseded { by: *newest });
        }
        write()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut gates = locked(&self.fences.gates);
        // Gates are cloned under this lock only, so two owners are the map and this place: nobody else needs it.
        if Arc::strong_count(&self.gate) == 2 {
            gates.remove(&self.upload);
        }
    }
}

/// A panic elsewhere leaves both values whole: each is changed in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_writer_shuts_out_the_earlier_one() {
        let fences = Arc::new(Fences::default());
        let upload = UploadId::new();
        let old = fences.take_over(upload, WriterEpoch(1)).unwrap();
        assert!(old.hold(|| Ok(())).is_ok());
        let new = fences.take_over(upload, WriterEpoch(2)).unwrap();
        assert!(matches!(
            old.hold(|| Ok(())),
            Err(BlobError::Superseded { by: WriterEpoch(2) })
        ));
        assert!(new.hold(|| Ok(())).is_ok());
        assert!(fences.take_over(upload, WriterEpoch(1)).is_err(), "too late");
        drop((old, new));
        assert!(
            locked(&fences.gates).is_empty(),
            "nothing is kept of uploads that nobody writes"
        );
    }

    #[test]
    fn taking_over_waits_for_the_write_under_way() {
        let fences = Arc::new(Fences::default());
        let upload = UploadId::new();
        let old = fences.take_over(upload, WriterEpoch(1)).unwrap();
        let (begun, wait_begun) = std::sync::mpsc::channel();
        let (end, wait_end) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                old.hold(|| {
                    begun.send(()).unwrap();
                    wait_end.recv().unwrap();
                    Ok(())
                })
            });
            wait_begun.recv().unwrap();
            let successor = scope.spawn(|| fences.take_over(upload, WriterEpoch(2)).is_ok());
            assert!(
                fences.gates.lock().unwrap()[&upload].try_lock().is_err(),
                "the write holds the gate"
            );
            assert!(!successor.is_finished());
            end.send(()).unwrap();
            assert!(successor.join().unwrap());
        });
    }
}
