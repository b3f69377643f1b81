//! What is in the bucket, and removing it.

use std::{collections::HashMap, time::SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, path::Path};
use reelway_domain::{JobId, UploadId};

use super::{BucketStore, wire::WireError};
use crate::{BlobError, Stored, error::Asked as _};

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

    /// Every upload that has objects, with the time of the newest, in no order.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn list_uploads(&self) -> Result<Vec<Stored<UploadId>>, BlobError> {
        self.list(&self.inner.names.uploads()).await
    }

    /// Every job that has objects, with the time of the newest, in no order.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn list_jobs(&self) -> Result<Vec<Stored<JobId>>, BlobError> {
        self.list(&self.inner.names.outputs()).await
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
                let key = Path::from(begun.key.as_str());
                let ended = self.inner.multiparts.abort_multipart(&key, &begun.id).await;
                match ended.asked("end the multipart upload of", &key) {
                    Ok(()) | Err(BlobError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
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
        for key in keys {
            self.remove_one(&key).await?;
        }
        Ok(())
    }

    async fn found(&self, below: &Path) -> Result<Vec<ObjectMeta>, BlobError> {
        let listed = self.inner.objects.list(Some(below)).try_collect().await;
        listed.asked("list", below)
    }

    /// The newest object of each that is named by the first segment below a key.
    async fn list<I>(&self, below: &Path) -> Result<Vec<Stored<I>>, BlobError>
    where
        I: std::str::FromStr + Copy + Eq + std::hash::Hash,
    {
        let mut newest: HashMap<I, SystemTime> = HashMap::new();
        let mut listed = self.inner.objects.list(Some(below));
        while let Some(object) = listed.next().await {
            let object = object.asked("list", below)?;
            let named = object.location.prefix_match(below).and_then(|mut parts| parts.next());
            let Some(id) = named.and_then(|name| name.as_ref().parse().ok()) else {
                tracing::warn!(key = %object.location, "unknown object in the bucket");
                continue;
            };
            let modified = SystemTime::from(object.last_modified);
            let known = newest.entry(id).or_insert(modified);
            *known = modified.max(*known);
        }
        Ok(newest
            .into_iter()
            .map(|(id, modified)| Stored { id, modified })
            .collect())
    }
}

fn not_listed(below: &Path, error: WireError) -> BlobError {
    BlobError::Remote {
        operation: "list the multipart uploads of",
        key: below.to_string(),
        source: Box::new(error),
    }
}
