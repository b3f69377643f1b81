//! Parts that clients put into the bucket themselves, under URLs that are signed for them.
//!
//! A URL is good for one part of one multipart upload, and for a while. How many bytes come under it is not signed (the signer keeps
//! `content-length` for itself), so what a client then says it has put there is looked up in the bucket, with its length.

use std::time::Duration;

use http::Method;
use object_store::{path::Path, signer::SignedUrlOptions};
use reelway_domain::{Multipart, UploadId, WriterEpoch};

use super::{
    BucketStore,
    schedule::{PART_NUMBER_MAX, part_bytes},
    wire::{Signing, WireError},
};
use crate::{BlobError, error::Asked as _};

/// A part that the bucket has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number.
    pub number: u32,
    /// How long it is.
    pub size_bytes: u64,
    /// What the store calls its content, in quotes.
    pub etag: String,
}

impl BucketStore {
    /// The highest number of a part.
    pub const PART_NUMBER_MAX: u32 = PART_NUMBER_MAX;

    /// Whether clients can put parts here themselves. Google Cloud Storage would need a key that identities of machines don't have.
    #[must_use]
    pub fn takes_direct_parts(&self) -> bool {
        matches!(self.inner.wire.signing, Signing::Aws { .. })
    }

    /// How long each part but the last is of an upload of `size` bytes.
    #[must_use]
    pub fn direct_part_bytes(size: u64) -> u64 {
        part_bytes(0, Some(size))
    }

    /// Begins a multipart upload that a writer's parts belong to.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn begin_multipart(&self, id: UploadId, epoch: WriterEpoch) -> Result<Multipart, BlobError> {
        let key = self.inner.names.source(id, epoch);
        let options = self.inner.multipart_options();
        let begun = self.inner.multiparts.create_multipart_opts(&key, options).await;
        Ok(Multipart {
            id: begun.asked("begin a multipart upload of", &key)?,
            key: key.to_string(),
        })
    }

    /// Ends a multipart upload that isn't needed. It is fine if there is none.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn end_multipart(&self, multipart: &Multipart) -> Result<(), BlobError> {
        let key = Path::from(multipart.key.as_str());
        let ended = self.inner.multiparts.abort_multipart(&key, &multipart.id).await;
        match ended.asked("end the multipart upload of", &key) {
            Ok(()) | Err(BlobError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A URL under which whoever has it can PUT this part, for as long as said.
    ///
    /// # Errors
    /// [`BlobError::Remote`] if it can't be signed.
    pub async fn sign_part(&self, multipart: &Multipart, number: u32, lifetime: Duration) -> Result<String, BlobError> {
        let key = Path::from(multipart.key.as_str());
        let query = [("partNumber", number.to_string()), ("uploadId", multipart.id.clone())];
        let options = SignedUrlOptions::new().with_query(query);
        let signed = self
            .inner
            .signer
            .signed_url_opts(Method::PUT, &key, lifetime, &options)
            .await;
        Ok(signed.asked("sign a URL for a part of", &key)?.into())
    }

    /// The parts from number `first` to number `last` that the bucket has, in order.
    ///
    /// # Errors
    /// Those of the bucket; [`BlobError::NotFound`] if the multipart upload has ended.
    pub async fn parts_there(
        &self,
        multipart: &Multipart,
        first: u32,
        last: u32,
    ) -> Result<Vec<ListedPart>, BlobError> {
        let key = Path::from(multipart.key.as_str());
        let listed = self.inner.wire.parts(&key, &multipart.id, first, last).await;
        let parts = listed.map_err(|error| match error {
            WireError::NoSuchUpload => BlobError::NotFound {
                path: key.to_string().into(),
            },
            error => BlobError::Remote {
                operation: "list the parts of",
                key: key.to_string(),
                source: Box::new(error),
            },
        })?;
        let parts = parts.into_iter().map(|part| ListedPart {
            number: part.number,
            size_bytes: part.size_bytes,
            etag: format!("\"{}\"", part.etag.trim_matches('"')),
        });
        Ok(parts.collect())
    }
}

#[cfg(test)]
mod tests;
