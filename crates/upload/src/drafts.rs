//! Tails that this process is receiving: one for each upload, so that what is on the disk and in no account stays small. Whoever sends
//! a tail again ends the call before, which may be that of a dead connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reelway_domain::UploadId;
use tokio_util::sync::CancellationToken;

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drafts {
    uploads: Arc<Mutex<HashMap<UploadId, Arc<CancellationToken>>>>,
}

/// One of them; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    drafts: Drafts,
    upload: UploadId,
    superseded: Arc<CancellationToken>,
}

impl Drafts {
    /// A tail is going to be received. Ends the call that receives one of the same upload.
    pub(crate) fn begin(&self, upload: UploadId) -> Draft {
        let superseded = Arc::new(CancellationToken::new());
        if let Some(before) = self.uploads().insert(upload, Arc::clone(&superseded)) {
            before.cancel();
        }
        Draft {
            drafts: self.clone(),
            upload,
            superseded,
        }
    }

    /// A panic elsewhere leaves the map whole: each change is one step.
    fn uploads(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<CancellationToken>>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Draft {
    /// Waits until another call sends the tail.
    pub(crate) async fn superseded(&self) {
        self.superseded.cancelled().await;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut uploads = self.drafts.uploads();
        if uploads
            .get(&self.upload)
            .is_some_and(|now| Arc::ptr_eq(now, &self.superseded))
        {
            uploads.remove(&self.upload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_one_ends_the_one_before_and_nothing_stays() {
        let (drafts, upload) = (Drafts::default(), UploadId::new());
        let (first, other) = (drafts.begin(upload), drafts.begin(UploadId::new()));
        assert!(!first.superseded.is_cancelled());
        let second = drafts.begin(upload);
        assert!(first.superseded.is_cancelled() && !other.superseded.is_cancelled());
        drop(first);
        assert_eq!(drafts.uploads().len(), 2);
        let third = drafts.begin(upload);
        assert!(second.superseded.is_cancelled());
        drop((second, third, other));
        assert!(drafts.uploads().is_empty());
    }
}
