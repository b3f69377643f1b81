//! Uploads of which this process is just becoming the writer: the catalog has it as the writer already, and the registry not yet.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reelway_domain::UploadId;
use tokio_util::sync::CancellationToken;

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Openings {
    uploads: Arc<Mutex<HashMap<UploadId, Several>>>,
}

/// Streams that open the same upload at once, and what tells when none does any more.
#[derive(Debug, Default)]
struct Several {
    count: usize,
    over: CancellationToken,
}

/// One of them; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Opening {
    openings: Openings,
    upload: UploadId,
}

impl Openings {
    /// An upload is going to be opened. Call it before the catalog is asked.
    pub(crate) fn begin(&self, upload: UploadId) -> Opening {
        self.uploads().entry(upload).or_default().count += 1;
        Opening {
            openings: self.clone(),
            upload,
        }
    }

    /// What tells when an upload is not being opened any more; `None` if it isn't.
    pub(crate) fn of(&self, upload: UploadId) -> Option<CancellationToken> {
        self.uploads().get(&upload).map(|several| several.over.clone())
    }

    /// A panic elsewhere leaves the map whole: each change is one step.
    fn uploads(&self) -> MutexGuard<'_, HashMap<UploadId, Several>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.openings.uploads().entry(self.upload) {
            entry.get_mut().count -= 1;
            if entry.get().count == 0 {
                entry.remove().over.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_is() {
        let (openings, upload) = (Openings::default(), UploadId::new());
        let (first, second) = (openings.begin(upload), openings.begin(upload));
        let over = openings.of(upload).unwrap();
        assert!(openings.of(UploadId::new()).is_none());
        drop(first);
        assert!(!over.is_cancelled());
        drop(second);
        assert!(over.is_cancelled() && openings.of(upload).is_none());
    }
}
