//! Bytes of objects on the worker's disk, in blocks of one length: what several tasks read of a source is fetched once, and no more of it
//! than they read.
//!
//! All of it are copies: whatever is wrong with the disk, they are given up, and fetched anew when they are wanted.

mod shelf;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{TryStreamExt as _, stream};
use reelway_blob::{BlobError, ByteSpan, ObjectReader, Opened};
use reelway_domain::{Failure, Reason};
use reelway_media::ByteRange;
use tokio::{
    io::{AsyncWriteExt as _, BufWriter},
    sync::Semaphore,
};

use self::shelf::{BlockId, Filled, Pin, Shelf};
use crate::{meter, scratch};

/// How much of the disk blocks may take if nothing else is said, in bytes.
pub const CACHE_BYTES_DEFAULT: u64 = 4 << 30;
/// How long a block is, in bytes. A request costs as much as some hundred KiB do, and a few seconds of a usual film are as long.
const BLOCK_BYTES: u64 = 8 << 20;
/// How many blocks one task fetches beside one another.
const BLOCKS_AT_ONCE: usize = 4;
/// How much of a block is in memory before it is written, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// How much of sources in buckets a worker keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCache {
    /// How much of the disk that may take, in bytes. One block is kept in any case.
    pub bytes_max: u64,
    /// How much is fetched at a time, in bytes.
    pub block_bytes: u64,
}

impl Default for SourceCache {
    fn default() -> Self {
        Self {
            bytes_max: CACHE_BYTES_DEFAULT,
            block_bytes: BLOCK_BYTES,
        }
    }
}

/// The blocks of a worker, and the way to more of them.
#[derive(Debug)]
pub(crate) struct Sources {
    shelf: Arc<Shelf>,
    block_bytes: u64,
    /// One permit for each block that may be in use: as many as there is room for, so that there always is for one more.
    in_use: Arc<Semaphore>,
}

impl Sources {
    /// Blocks in a directory, which is made with the first of them.
    pub(crate) fn new(dir: PathBuf, settings: SourceCache) -> Self {
        let blocks_max = usize::try_from(settings.bytes_max / settings.block_bytes).unwrap_or(usize::MAX);
        Self {
            shelf: Shelf::new(dir, settings),
            block_bytes: settings.block_bytes,
            in_use: Arc::new(Semaphore::new(blocks_max.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Gives up all blocks that nobody uses.
    pub(crate) fn clear(&self) {
        self.shelf.clear();
    }

    /// How long an object is, in bytes.
    ///
    /// # Errors
    /// `INTERNAL` if it is gone, `STORE_UNAVAILABLE` if the bucket doesn't answer, `STORAGE_FULL`.
    pub(crate) async fn size_bytes(&self, object: &ObjectReader) -> Result<u64, Failure> {
        self.with_block(object, 0, |_, filled| Ok(filled.size_bytes)).await
    }

    /// Reads so many bytes of an object, or fewer if it ends before.
    ///
    /// # Errors
    /// As [`Self::size_bytes`].
    pub(crate) async fn read(&self, object: &ObjectReader, at: u64, bytes: usize) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::with_capacity(bytes);
        let wanted = ByteRange {
            start: at,
            end: at.saturating_add(bytes as u64),
        };
        for (number, parts) in self.split(&[wanted]) {
            let begin = number * self.block_bytes;
            let read = self.with_block(object, number, move |path, _| {
                let mut read = Vec::new();
                for part in parts {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(part.start - begin))?;
                    file.take(part.end - part.start).read_to_end(&mut read)?;
                }
                Ok(read)
            });
            all.extend(read.await?);
        }
        Ok(all)
    }

    /// Puts all of an object into a new file.
    ///
    /// # Errors
    /// As [`Self::size_bytes`].
    pub(crate) async fn copy(&self, object: &ObjectReader, file: &Path) -> Result<(), Failure> {
        let end = self.size_bytes(object).await?;
        self.copy_ranges(object, &[ByteRange { start: 0, end }], end, file)
            .await
    }

    /// Makes a new sparse file of so many bytes, with these ranges of an object at their places.
    ///
    /// # Errors
    /// As [`Self::size_bytes`]; `INTERNAL` if the object ends before.
    pub(crate) async fn copy_ranges(
        &self,
        object: &ObjectReader,
        ranges: &[ByteRange],
        file_bytes: u64,
        file: &Path,
    ) -> Result<(), Failure> {
        let have = self.size_bytes(object).await?;
        if let Some(expected) = ranges.iter().map(|range| range.end).max().filter(|end| *end > have) {
            let path = object.key().into();
            return Err(BlobError::Short { path, have, expected }.into());
        }
        let made = tokio::fs::File::create(file).await;
        let made = made.map_err(|error| scratch::failure(&error))?;
        let sized = made.set_len(file_bytes).await;
        sized.map_err(|error| scratch::failure(&error))?;
        let blocks = stream::iter(self.split(ranges).into_iter().map(Ok));
        let copied = blocks.try_for_each_concurrent(BLOCKS_AT_ONCE, |(number, parts)| {
            let (target, begin) = (file.to_owned(), number * self.block_bytes);
            self.with_block(object, number, move |path, _| {
                parts.iter().try_for_each(|part| copy_part(path, begin, *part, &target))
            })
        });
        copied.await
    }

    /// The blocks that ranges lie in, with what of the ranges lies in each.
    fn split(&self, ranges: &[ByteRange]) -> BTreeMap<u64, Vec<ByteRange>> {
        let mut blocks = BTreeMap::<u64, Vec<ByteRange>>::new();
        for range in ranges {
            let mut start = range.start;
            while start < range.end {
                let number = start / self.block_bytes;
                let end = range.end.min((number + 1) * self.block_bytes);
                blocks.entry(number).or_default().push(ByteRange { start, end });
                start = end;
            }
        }
        blocks
    }

    /// Does blocking work with the file of a block, which stays until that is done.
    async fn with_block<T: Send + 'static>(
        &self,
        object: &ObjectReader,
        number: u64,
        work: impl FnOnce(&Path, &Filled) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let internal = |error: &dyn std::fmt::Display| Failure::new(Reason::Internal, error.to_string());
        let permit = Arc::clone(&self.in_use).acquire_owned().await;
        let permit = permit.map_err(|error| internal(&error))?;
        let pin = self.shelf.pin(BlockId {
            store: object.store(),
            key: object.key().to_owned(),
            number,
        });
        let filled = self.filled(&pin, object).await?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work(pin.path(), &filled);
            drop((pin, permit));
            done
        })
        .await;
        done.map_err(|error| internal(&error))?.map_err(|error| {
            self.clear();
            scratch::failure(&error)
        })
    }

    /// Fetches a block unless it is there. Whoever wants it meanwhile waits for that.
    async fn filled(&self, pin: &Pin, object: &ObjectReader) -> Result<Filled, Failure> {
        let mut is_hit = true;
        let filled = pin.filled_or(async {
            is_hit = false;
            meter::source_block_missed();
            match self.fetch(pin, object).await {
                // What is here for later is worth less than what is wanted now.
                Err(failure) if failure.reason == Reason::StorageFull => {
                    self.clear();
                    self.fetch(pin, object).await
                }
                done => done,
            }
        });
        let filled = filled.await?;
        if is_hit {
            meter::source_block_hit();
        }
        Ok(filled)
    }

    async fn fetch(&self, pin: &Pin, object: &ObjectReader) -> Result<Filled, Failure> {
        let from = pin.id().number * self.block_bytes;
        let span = ByteSpan::Between(from, from.saturating_add(self.block_bytes));
        let (found, filled) = match object.open(span).await? {
            Opened::Outside { size_bytes } => (None, Filled::nothing(size_bytes)),
            Opened::Bytes(found) => {
                let filled = Filled {
                    bytes: found.to - found.from,
                    size_bytes: found.size_bytes,
                    etag: found.etag().map(str::to_owned),
                };
                (Some(found), filled)
            }
        };
        if !self.shelf.is_same_object(pin.id(), &filled) {
            // What is here of it is of no use any more.
            self.clear();
            return Err(changed(object));
        }
        let full = |error: io::Error| scratch::failure(&error);
        let file = self.shelf.create(pin).await.map_err(full)?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        if let Some(found) = found {
            let mut pieces = found.into_stream();
            while let Some(piece) = pieces.try_next().await? {
                meter::source_fetched(piece.len());
                file.write_all(&piece).await.map_err(full)?;
            }
        }
        file.flush().await.map_err(full)?;
        Ok(filled)
    }
}

/// Copies a part of an object from the file of the block that begins there.
fn copy_part(block: &Path, begin: u64, part: ByteRange, target: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(block)?, File::options().write(true).open(target)?);
    from.seek(SeekFrom::Start(part.start - begin))?;
    to.seek(SeekFrom::Start(part.start))?;
    let bytes = part.end - part.start;
    let copied = io::copy(&mut from.take(bytes), &mut to)?;
    if copied == bytes {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn changed(object: &ObjectReader) -> Failure {
    let error = BlobError::Remote {
        operation: "go on reading",
        key: object.key().to_owned(),
        source: "it is another object by now".into(),
    };
    error.into()
}

#[cfg(test)]
mod tests;
