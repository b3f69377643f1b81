//! What was made of an upload, in a bucket.

use std::{path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use object_store::{
    Attribute, Attributes, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
    path::Path,
};
use reelway_domain::JobId;
use tokio::io::AsyncReadExt as _;

use super::{BucketStore, Inner, read::ObjectReader};
use crate::{
    BlobError, MediaType, OutputKey,
    error::{Asked as _, Tried as _},
    output::open_regular,
    task::blocking,
};

/// What is longer than this goes to the bucket in parts of so many bytes.
const PART_BYTES: usize = 8 << 20;

/// The outputs of one job.
#[derive(Debug, Clone)]
pub struct BucketOutput {
    store: BucketStore,
    pub(super) job: JobId,
}

impl BucketStore {
    /// A job's outputs.
    #[must_use]
    pub fn output(&self, job: JobId) -> BucketOutput {
        BucketOutput {
            store: self.clone(),
            job,
        }
    }
}

impl BucketOutput {
    /// Stores a finished local file, durably, and removes it. Keys hold the epoch of a claim, so nobody else writes there.
    ///
    /// # Errors
    /// [`BlobError::Io`] if `from` is a link or anything else that is not a regular file, and those of the bucket; `from` stays then.
    pub async fn adopt(&self, key: &OutputKey, from: &FilePath) -> Result<(), BlobError> {
        let opened = from.to_owned();
        let file = blocking(move || open_regular(&opened)).await?;
        let size = file.metadata().tried("look at", from)?.len();
        let mut file = tokio::fs::File::from_std(file);
        let (at, inner) = (self.path(key), self.inner());
        if size <= PART_BYTES as u64 {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            file.read_to_end(&mut bytes).await.tried("read", from)?;
            self.put(key, bytes.into()).await?;
        } else {
            let options = PutMultipartOptions {
                attributes: self.attributes(key),
                ..PutMultipartOptions::default()
            };
            let mut upload = inner
                .objects
                .put_multipart_opts(&at, options)
                .await
                .asked("store", &at)?;
            let mut sent = 0;
            while sent < size {
                let here = usize::try_from(size - sent).unwrap_or(usize::MAX).min(PART_BYTES);
                let mut bytes = vec![0; here];
                file.read_exact(&mut bytes).await.tried("read", from)?;
                sent += here as u64;
                upload.put_part(bytes.into()).await.asked("store", &at)?;
            }
            upload.complete().await.asked("store", &at)?;
        }
        tokio::fs::remove_file(from).await.tried("remove", from)
    }

    /// Writes a small object durably. What was there before is replaced as a whole.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn write(&self, key: &OutputKey, bytes: Bytes) -> Result<(), BlobError> {
        self.put(key, bytes).await
    }

    async fn put(&self, key: &OutputKey, bytes: Bytes) -> Result<(), BlobError> {
        let at = self.path(key);
        let options = PutOptions {
            attributes: self.attributes(key),
            ..PutOptions::default()
        };
        let put = self
            .inner()
            .objects
            .put_opts(&at, PutPayload::from(bytes), options)
            .await;
        put.asked("store", &at).map(drop)
    }

    /// Reads a small object whole.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] and others.
    pub async fn read(&self, key: &OutputKey) -> Result<Bytes, BlobError> {
        let at = self.path(key);
        let found = self.inner().objects.get(&at).await.asked("read", &at)?;
        found.bytes().await.asked("read", &at)
    }

    /// What reads an output.
    #[must_use]
    pub fn reader(&self, key: &OutputKey) -> ObjectReader {
        self.store.reader(self.path(key).as_ref())
    }

    /// The outputs and directories of outputs at the top. None if nothing was made.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn prefixes(&self) -> Result<Vec<OutputKey>, BlobError> {
        let at = self.inner().names.job(self.job);
        let found = self
            .inner()
            .objects
            .list_with_delimiter(Some(&at))
            .await
            .asked("list", &at)?;
        let paths = found
            .common_prefixes
            .into_iter()
            .chain(found.objects.into_iter().map(|object| object.location));
        Ok(paths.filter_map(|path| path.filename()?.parse().ok()).collect())
    }

    /// Removes an output, and everything below its key. It is fine if there is nothing.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn remove_prefix(&self, key: &OutputKey) -> Result<(), BlobError> {
        let at = self.path(key);
        self.store.remove_one(&at).await?;
        self.store.remove_below(&at).await
    }

    /// Removes everything of the job. It is fine if there is nothing.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn remove(&self) -> Result<(), BlobError> {
        self.store.remove_below(&self.inner().names.job(self.job)).await
    }

    /// The object's key in the bucket.
    pub(crate) fn path(&self, key: &OutputKey) -> Path {
        let segments = key.as_str().split('/');
        segments.fold(self.inner().names.job(self.job), Path::join)
    }

    fn attributes(&self, key: &OutputKey) -> Attributes {
        let mut all = self.inner().attributes();
        for (attribute, value) in headers(key) {
            all.insert(attribute, value.into());
        }
        all
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.store.inner
    }
}

/// What browsers are told that read an output from the bucket itself.
fn headers(key: &OutputKey) -> [(Attribute, &'static str); 2] {
    let media_type = MediaType::of(key.as_str());
    let caching = if media_type.is_fixed {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    [
        (Attribute::ContentType, media_type.name),
        (Attribute::CacheControl, caching),
    ]
}
