//! An object that is read by blocking work, in pieces of bounded length.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reelway_domain::Offset;
use tokio::runtime::Handle;

use crate::{BlobError, ObjectReader};

/// So much is read at least: who looks for boxes reads a few bytes here and there.
const READ_AHEAD_BYTES: u64 = 256 << 10;
/// So much is asked for at once at most.
const PIECE_BYTES: u64 = 4 << 20;
/// So many pieces are on their way beside one another.
const PIECES_AT_ONCE: usize = 4;

/// Reads one object. Blocks: only threads for blocking work of a runtime can use it.
#[derive(Debug)]
pub(crate) struct ArrivedObject {
    object: ObjectReader,
    /// What was read last, and where it begins.
    last: Mutex<(u64, Bytes)>,
}

impl ArrivedObject {
    pub(crate) fn new(object: ObjectReader) -> Self {
        Self {
            object,
            last: Mutex::new((0, Bytes::new())),
        }
    }

    /// Fills a buffer from `at` on; nothing is read from `end` on.
    ///
    /// # Errors
    /// `NotFound` if there is no such object, and others of the bucket.
    pub(crate) fn read_exact_at(&self, mut at: u64, end: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        // What a panic leaves is a piece and its place, as before.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        while !buffer.is_empty() {
            if !(last.0..last.0 + last.1.len() as u64).contains(&at) {
                let wanted = (buffer.len() as u64).clamp(READ_AHEAD_BYTES, PIECE_BYTES);
                let to = end.min(at + wanted);
                if to <= at {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let piece = Handle::current().block_on(self.piece(at, to));
                *last = (at, piece.map_err(into_io)?);
            }
            let known = last.1.slice(usize::try_from(at - last.0).unwrap_or(usize::MAX)..);
            let here = known.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(here);
            now.copy_from_slice(&known[..here]);
            (at, buffer) = (at + here as u64, later);
        }
        Ok(())
    }

    /// Hands over the bytes from `from` up to `to` in order, each piece with its place.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such object, and others of the bucket; those of `each`.
    pub(crate) fn read(
        &self,
        from: u64,
        to: u64,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), BlobError>,
    ) -> Result<(), BlobError> {
        let places = (0..(to - from).div_ceil(PIECE_BYTES)).map(|n| from + n * PIECE_BYTES);
        let pieces = places.map(|at| async move {
            let piece = self.piece(at, to.min(at + PIECE_BYTES)).await;
            piece.map(|bytes| (at, bytes))
        });
        let mut pieces = stream::iter(pieces).buffered(PIECES_AT_ONCE);
        let handle = Handle::current();
        while let Some((at, bytes)) = handle.block_on(pieces.try_next())? {
            each(at, &bytes)?;
        }
        Ok(())
    }

    async fn piece(&self, from: u64, to: u64) -> Result<Bytes, BlobError> {
        let at = Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let bytes = usize::try_from(to - from).unwrap_or(usize::MAX);
        self.object.read_at(at, bytes).await
    }
}

fn into_io(error: BlobError) -> io::Error {
    let kind = match &error {
        BlobError::NotFound { .. } => io::ErrorKind::NotFound,
        BlobError::Short { .. } => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
