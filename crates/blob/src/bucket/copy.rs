//! Bytes of other objects of the bucket, which the store copies into an upload itself: nothing of them comes through the server.
//!
//! A copy is a part of the upload's multipart upload as any other, with a number and a slot of its own
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>). So it is fenced as any other, too. Only what is shorter
//! than a part, or has to fill one up that was begun, is read and sent. Google Cloud Storage has nothing of the kind for parts.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use object_store::path::Path;
use reelway_domain::{Multipart, Offset};

use super::{
    Inner, StagedObject,
    part::Body,
    schedule::part_bytes,
    wire::{Signing, Wire, WireError},
};
use crate::BlobError;

/// One request copies about so much at most: S3 allows 5 GiB, and it is to be done within the time that requests have.
const COPY_BYTES_MAX: u64 = 256 << 20;
/// Where Cloudflare's S3 is. It wants all parts but the last equally long.
const EQUAL_PARTS_HOST: &str = ".r2.cloudflarestorage.com";

/// Whether a bucket copies, and how.
#[derive(Debug)]
pub(crate) struct Copies {
    /// The bucket's name.
    bucket: String,
    is_equal: bool,
    is_refused: AtomicBool,
}

/// How far an upload is, for somebody who brings bytes of other objects. It counts along with what it says is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    at: u64,
    /// Where the part begins that is being filled.
    begin: u64,
    size: Option<u64>,
    is_equal: bool,
}

/// What is to be done with the next bytes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// [`StagedObject::copy_at`] with so many.
    Copy(u64),
    /// Reading and writing so many.
    Carry(u64),
}

impl Filling {
    /// What is to be done first of the next `left` bytes, which stand in one object.
    pub fn step(&mut self, left: u64) -> Step {
        let part = part_bytes(self.begin, self.size);
        let step = match self.at == self.begin && left >= part {
            true => Step::Copy(self.copied_bytes(left, part)),
            false => Step::Carry(left.min(self.begin + part - self.at)),
        };
        let (Step::Copy(bytes) | Step::Carry(bytes)) = step;
        self.at += bytes;
        if matches!(step, Step::Copy(_)) || self.at == self.begin + part {
            self.begin = self.at;
        }
        step
    }

    /// How long the next copy is, so that none is shorter than the part that is due: numbers last as they do otherwise then.
    fn copied_bytes(&self, left: u64, part: u64) -> u64 {
        if self.is_equal {
            return part;
        }
        left.div_ceil(left.div_ceil(COPY_BYTES_MAX.max(2 * part)))
    }
}

impl Copies {
    /// Those of this bucket.
    pub(crate) fn of(bucket: &str, wire: &Wire) -> Self {
        let host = wire.bucket.host_str().unwrap_or_default();
        Self {
            bucket: bucket.to_owned(),
            is_equal: host.ends_with(EQUAL_PARTS_HOST),
            is_refused: AtomicBool::new(!matches!(wire.signing, Signing::Aws { .. })),
        }
    }
}

impl StagedObject {
    /// Where the upload is, if the bucket can copy into it. `None`: all bytes have to be read and written.
    pub async fn filling(&self) -> Option<Filling> {
        let copies = &self.inner.bucket.inner.copies;
        if copies.is_refused.load(Ordering::Relaxed) {
            return None;
        }
        let state = self.inner.state.lock().await;
        Some(Filling {
            at: state.buffer.to(),
            begin: state.begin,
            size: state.size,
            is_equal: copies.is_equal,
        })
    }

    /// Has the store copy the bytes from `from` on of the object with the key `source`, as [`Filling::step`] said. They are durable only
    /// after [`Self::sync`].
    ///
    /// # Errors
    /// [`BlobError::PartLost`] if the upload is elsewhere; those of storing what came before. A copy that the store refuses is found
    /// out by [`Self::sync`]; from then on [`Self::filling`] gives `None`.
    pub async fn copy_at(&self, at: Offset, source: &str, from: Offset, bytes: u64) -> Result<(), BlobError> {
        let mut state = self.inner.state.lock().await;
        if state.buffer.to() != state.begin || state.begin != at.as_u64() {
            let (number, why) = (0, "bytes that are no part yet lie before it".to_owned());
            return Err(BlobError::PartLost { number, why });
        }
        let (source, from) = (Path::from(source), from.as_u64());
        let range = from..from + bytes;
        let to = state.begin + bytes;
        let next = self.inner.next(&mut state).await?;
        self.inner.send(&mut state, next, to, Body::Object { source, range });
        state.buffer.skip_to(to);
        Ok(())
    }
}

impl Inner {
    /// Copies a range of an object as this part, and gives what the store calls it. The store is asked how long the part is then: some
    /// don't know of ranges, and copy everything, or nothing.
    pub(super) async fn copy_part(
        &self,
        multipart: &Multipart,
        number: u32,
        source: &Path,
        range: Range<u64>,
    ) -> Result<String, WireError> {
        let key = Path::from(multipart.key.as_str());
        let bytes = range.end - range.start;
        let from = (self.copies.bucket.as_str(), source);
        let copied = self.wire.copy_part((&key, &multipart.id, number), from, range).await;
        let there = match copied {
            Ok(()) => self.wire.parts(&key, &multipart.id, number, number).await?,
            Err(error) => return Err(self.judged(error)),
        };
        let right = there.into_iter().find(|part| part.size_bytes == bytes);
        right
            .map(|part| format!("\"{}\"", part.etag.trim_matches('"')))
            .ok_or_else(|| {
                self.copies.is_refused.store(true, Ordering::Relaxed);
                WireError::Failed("the store copied something else".into())
            })
    }

    /// Remembers that copies are refused, unless it is about this one.
    fn judged(&self, error: WireError) -> WireError {
        if let WireError::Refused { status, body } = &error
            && (status.is_client_error() || *status == http::StatusCode::NOT_IMPLEMENTED)
            && !body.contains("NoSuchKey")
        {
            tracing::warn!(%error, "the store doesn't copy parts; bytes of joined uploads go through this server");
            self.copies.is_refused.store(true, Ordering::Relaxed);
        }
        error
    }
}

#[cfg(test)]
mod tests;
