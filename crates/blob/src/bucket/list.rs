//! What is in the bucket, and removing it.

use futures_util::{TryStreamExt as _, stream};
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, path::Path};
use reelway_domain::UploadId;

use super::{BucketStore, wire::WireError};
use crate::{BlobError, error::Asked as _};

/// Objects that are removed at a time: a few hundred parts of one upload go in a second, and the store is left to others.
const REMOVALS_AT_ONCE: usize = 8;

impl BucketStore {
    /// Whether a small object can be made and removed.
    ///
    /// # Errors
    /// Why it can't.
    pub async fn check(&self) -> Result<(), BlobError> {
        let key = self.inner.names.check(&self.writer_id().to_string());
        let put = self.inner.objects.put(&key, "is there room?".into()).await;
        put.asked("write", &key)?;
        self.remove_one(&key).await
    }

    /// Removes all objects of an upload but the one with the key `kept`, and ends its multipart uploads but `kept_multipart`, which
    /// gives their parts back. It is fine if there is nothing.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn remove_upload(
        &self,
        id: UploadId,
        kept: Option<&str>,
        kept_multipart: Option<&str>,
    ) -> Result<(), BlobError> {
        let below = self.inner.names.upload(id);
        for begun in self
            .inner
            .wire
            .begun(&below)
            .await
            .map_err(|error| not_listed(&below, error))?
        {
            if kept_multipart != Some(&begun.id) {
                self.end_multipart(&begun.into()).await?;
            }
        }
        let found = self.found(&below).await?;
        self.remove_all(
            found
                .into_iter()
                .map(|object| object.location)
                .filter(|key| kept != Some(key.as_ref())),
        )
        .await
    }

    /// Removes objects whose absence nobody waits for. What is left if that fails goes with the upload.
    pub(crate) fn remove_later(&self, keys: impl Iterator<Item = String>) {
        let keys: Vec<Path> = keys.map(|key| Path::from(key.as_str())).collect();
        if keys.is_empty() {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            if let Err(error) = store.remove_all(keys.into_iter()).await {
                tracing::debug!(%error, "objects that are not needed any more are left");
            }
        });
    }

    /// Removes everything below a key.
    pub(crate) async fn remove_below(&self, below: &Path) -> Result<(), BlobError> {
        let found = self.found(below).await?;
        self.remove_all(found.into_iter().map(|object| object.location)).await
    }

    /// Removes one object. It is fine if there is none.
    pub(crate) async fn remove_one(&self, key: &Path) -> Result<(), BlobError> {
        match self.inner.objects.delete(key).await.asked("remove", key) {
            Ok(()) | Err(BlobError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn remove_all(&self, keys: impl Iterator<Item = Path>) -> Result<(), BlobError> {
        let keys = stream::iter(keys.map(Ok::<_, BlobError>));
        let removed = keys.try_for_each_concurrent(REMOVALS_AT_ONCE, |key| async move { self.remove_one(&key).await });
        removed.await
    }

    async fn found(&self, below: &Path) -> Result<Vec<ObjectMeta>, BlobError> {
        let listed = self.inner.objects.list(Some(below)).try_collect().await;
        listed.asked("list", below)
    }
}

pub(super) fn not_listed(below: &Path, error: WireError) -> BlobError {
    BlobError::Remote {
        operation: "list the multipart uploads of",
        key: below.to_string(),
        source: Box::new(error),
    }
}
