//! Reading an object in one go, however often the connection breaks.
//!
//! `object_store` goes on by itself for as long as it repeats requests, counted from the beginning of the first one. Somebody who
//! watches a long video takes longer than that, so what breaks later is gone on with here.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use object_store::{Error, GetOptions, GetRange, GetResult, ObjectStore as _};
use tokio::time::{sleep, timeout};

use super::{ByteSpan, ObjectReader};
use crate::{BlobError, error::Asked as _};

/// A connection on which nothing comes for so long while somebody waits is given up. A player has so much in advance.
const PIECE_MAX: Duration = Duration::from_secs(10);
/// How often in a row a connection may break before anything has come on it.
const FAILURES_MAX: u32 = 4;
/// The pause before it is tried again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// What a store has of the bytes that were wanted.
#[derive(Debug)]
pub enum Opened {
    /// These.
    Bytes(OpenObject),
    /// None: the object is shorter.
    Outside {
        /// How long it is, in bytes.
        size_bytes: u64,
    },
}

/// An object that is being read.
#[derive(Debug)]
pub struct OpenObject {
    /// How long the whole object is, in bytes.
    pub size_bytes: u64,
    /// Where what is read begins.
    pub from: u64,
    /// Where it ends: the offset behind its last byte.
    pub to: u64,
    reading: Reading,
}

/// A run of an object, and how far it was read.
struct Reading {
    object: ObjectReader,
    /// What the store calls these bytes: another object under the same key is not gone on with.
    etag: Option<String>,
    at: u64,
    to: u64,
    body: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    failures: u32,
}

impl ObjectReader {
    /// Begins to read: one request, whose answer also says how long the object is.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object, and those of the bucket.
    pub async fn open(&self, wanted: ByteSpan) -> Result<Opened, BlobError> {
        let found = self.get(wanted.range(), None).await;
        match found.asked("read", &self.key) {
            Ok(found) => Ok(Opened::Bytes(self.reading(found))),
            Err(error @ BlobError::NotFound { .. }) => Err(error),
            Err(error) if wanted == ByteSpan::Whole => Err(error),
            // Stores refuse what lies outside, each in its own words.
            Err(error) => {
                let size_bytes = self.size_bytes().await?;
                match wanted.within(size_bytes) {
                    None => Ok(Opened::Outside { size_bytes }),
                    Some(_) => Err(error),
                }
            }
        }
    }

    async fn get(&self, range: Option<GetRange>, if_match: Option<String>) -> object_store::Result<GetResult> {
        let options = GetOptions {
            range,
            if_match,
            ..GetOptions::default()
        };
        self.store.objects.get_opts(&self.key, options).await
    }

    fn reading(&self, found: GetResult) -> OpenObject {
        let (range, etag) = (found.range.clone(), found.meta.e_tag.clone());
        OpenObject {
            size_bytes: found.meta.size,
            from: range.start,
            to: range.end,
            reading: Reading {
                object: self.clone(),
                etag,
                at: range.start,
                to: range.end,
                body: Some(found.into_stream()),
                failures: 0,
            },
        }
    }
}

impl OpenObject {
    /// What the store calls the object as it is now; `None` if it doesn't tell. Another one under the same key has another.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.reading.etag.as_deref()
    }

    /// The bytes as they come, as fast as they are taken. A connection that breaks is gone on with on another one, from the byte on
    /// at which it broke. The stream ends with an error if that doesn't help.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, BlobError>> {
        stream::try_unfold(self.reading, Reading::next).boxed()
    }
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BlobError> {
        while self.at < self.to {
            match self.piece().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(mut bytes) => {
                    bytes.truncate(usize::try_from(self.to - self.at).unwrap_or(usize::MAX));
                    self.at += bytes.len() as u64;
                    self.failures = 0;
                    return Ok(Some((bytes, self)));
                }
                Err(broken) => self.pause(broken).await.asked("go on reading", &self.object.key)?,
            }
        }
        Ok(None)
    }

    async fn piece(&mut self) -> object_store::Result<Bytes> {
        let body = match self.body.take() {
            Some(body) => body,
            None => {
                let rest = GetRange::Bounded(self.at..self.to);
                let found = self.object.get(Some(rest), self.etag.clone()).await?;
                found.into_stream()
            }
        };
        match timeout(PIECE_MAX, self.body.insert(body).next()).await {
            Ok(Some(piece)) => piece,
            Ok(None) => Err(broken("the answer ended early")),
            Err(_) => Err(broken("nothing came for a while")),
        }
    }

    /// Waits a moment, unless there is nothing to wait for.
    async fn pause(&mut self, error: Error) -> object_store::Result<()> {
        self.body = None;
        self.failures += 1;
        // Whatever else it is, it is an answer: the object has gone, or is another one.
        if self.failures > FAILURES_MAX || !matches!(error, Error::Generic { .. }) {
            return Err(error);
        }
        tracing::debug!(key = %self.object.key, at = self.at, %error, "reading goes on on another connection");
        sleep(PAUSE_MIN * (1 << (self.failures - 1))).await;
        Ok(())
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading")
            .field("key", &self.object.key)
            .field("at", &self.at)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

fn broken(why: &'static str) -> Error {
    Error::Generic {
        store: "bucket",
        source: why.into(),
    }
}

#[cfg(test)]
mod tests;
