//! What arrives: each chunk is examined before anything of it is stored.

use bytes::{Buf as _, Bytes};
use reelway::v1::UploadChunk;
use reelway_blob::SourcePlace;
use reelway_domain::{Failure, FieldViolation, Offset, Reason, UploadId, limits};
use reelway_rpc::request::{all_valid, violation};

use crate::meter;

/// New bytes of an upload, in order and without gaps.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    /// Where they belong.
    pub(crate) offset: Offset,
    /// The bytes; may be none.
    pub(crate) data: Data,
    /// What to do once they are written.
    pub(crate) then: Then,
}

/// Where the bytes of a piece are.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    /// Here.
    Bytes(Bytes),
    /// In the store, which copies them itself.
    Stored(Stored),
}

/// A run of a complete upload.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    /// Where that upload is.
    pub(crate) place: SourcePlace,
    /// Where the run begins in it.
    pub(crate) from: Offset,
    /// How long it is.
    pub(crate) bytes: u64,
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// What follows on a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// More pieces.
    GoOn,
    /// Make everything durable and say so.
    Flush,
    /// The file ends at this offset, says the client.
    Finish(Offset),
}

/// Examines the chunks of one stream.
#[derive(Debug)]
pub(crate) struct Intake {
    upload_id: String,
    size: Option<i64>,
    /// Nothing counts before a chunk says so.
    atomic: bool,
    /// What counted when the stream began.
    begin: Offset,
    /// Where the next new byte belongs.
    next: Offset,
}

impl Intake {
    /// For an upload that has everything below `next`.
    pub(crate) fn new(upload: UploadId, size: Option<i64>, next: Offset) -> Self {
        Self {
            upload_id: upload.to_string(),
            size,
            atomic: false,
            begin: next,
            next,
        }
    }

    /// The same for a stream of which nothing counts before a chunk with `flush` or `finish`.
    pub(crate) fn atomic(self, atomic: bool) -> Self {
        Self { atomic, ..self }
    }

    /// The end of a file of known length whose bytes are all there.
    pub(crate) fn whole(&self) -> Option<Piece> {
        let counts = !self.atomic || self.next == self.begin;
        (counts && self.size == Some(self.next.0)).then(|| Piece {
            offset: self.next,
            data: Bytes::new().into(),
            then: Then::Finish(self.next),
        })
    }

    /// Cuts what is there already from a chunk. `None` if nothing is to be done for it.
    ///
    /// # Errors
    /// Why it can't be taken. Nothing of it counts then.
    pub(crate) fn accept(&mut self, chunk: UploadChunk) -> Result<Option<Piece>, Failure> {
        self.check_fields(&chunk)?;
        check_data(&chunk)?;
        let end = self.check_place(&chunk)?;
        let offset = self.next;
        let mut data = chunk.data;
        // At most the length of the data: `check_place` has refused gaps.
        let known = usize::try_from(offset.0 - chunk.offset).unwrap_or(usize::MAX);
        data.advance(known.min(data.len()));
        self.next = self.next.max(end);
        // An empty last message often names no offset: it ends the file where it is.
        let names_no_place = chunk.offset == 0 && end == Offset::ZERO;
        let counts = !self.atomic || chunk.flush || chunk.finish;
        let then = if (counts && self.size == Some(self.next.0)) || (chunk.finish && names_no_place) {
            Then::Finish(self.next)
        } else if chunk.finish {
            Then::Finish(end)
        } else if chunk.flush {
            Then::Flush
        } else {
            Then::GoOn
        };
        Ok((then != Then::GoOn || !data.is_empty()).then_some(Piece {
            offset,
            data: data.into(),
            then,
        }))
    }

    fn check_fields(&self, chunk: &UploadChunk) -> Result<(), Failure> {
        let mut violations: Vec<FieldViolation> = Vec::new();
        if !chunk.upload_id.is_empty() && chunk.upload_id != self.upload_id {
            violations.push(violation(
                "chunk.upload_id",
                "must be empty or the same in all messages of a stream",
            ));
        }
        if chunk.atomic && !self.atomic {
            violations.push(violation(
                "chunk.atomic",
                "must be set in the first message of a stream",
            ));
        }
        if chunk.size_bytes.is_some() && chunk.size_bytes != self.size {
            violations.push(violation(
                "chunk.size_bytes",
                "must be set in the first message of a stream",
            ));
        }
        if chunk.offset < 0 {
            violations.push(violation("chunk.offset", "must not be negative"));
        }
        all_valid(violations)
    }

    /// Where the chunk ends.
    fn check_place(&self, chunk: &UploadChunk) -> Result<Offset, Failure> {
        // Chunks are short and offsets fit their type, so only an absurd offset saturates.
        let end = chunk.offset.saturating_add(Offset::ZERO.advanced(chunk.data.len()).0);
        let size_max = self.size.unwrap_or(limits::UPLOAD_BYTES_MAX);
        if end > size_max {
            let message = "the chunk goes past the upload's length; nothing of it was stored";
            return Err(Failure::new(Reason::SizeExceeded, message)
                .with("offset", chunk.offset)
                .with("chunkBytes", chunk.data.len())
                .with("sizeBytes", size_max));
        }
        if chunk.offset > self.next.0 {
            meter::conflicts().increment(1);
            let message = "the chunk begins after the bytes that are there; go on from the expected offset";
            return Err(Failure::new(Reason::OffsetMismatch, message).with("offset", chunk.offset));
        }
        Ok(Offset(end))
    }
}

/// Whether the bytes are as they were sent.
fn check_data(chunk: &UploadChunk) -> Result<(), Failure> {
    if chunk.data.len() > limits::CHUNK_BYTES_MAX {
        return Err(too_large().with("chunkBytes", chunk.data.len()));
    }
    let Some(expected) = chunk.crc32c else {
        return Ok(());
    };
    let actual = crc32c::crc32c(&chunk.data);
    if actual == expected {
        return Ok(());
    }
    let message = "the chunk is not what its checksum says and was dropped; send it again";
    Err(Failure::new(Reason::ChunkChecksumMismatch, message)
        .with("offset", chunk.offset)
        .with("expectedCrc32c", format_args!("{expected:08x}"))
        .with("actualCrc32c", format_args!("{actual:08x}")))
}

/// A chunk is longer than it may be.
pub(crate) fn too_large() -> Failure {
    let message = format!("a chunk may carry at most {} bytes", limits::CHUNK_BYTES_MAX);
    Failure::new(Reason::ChunkTooLarge, message).with("chunkBytesMax", limits::CHUNK_BYTES_MAX)
}

#[cfg(test)]
mod tests;
