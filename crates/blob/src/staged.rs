//! A file on its way in, as its one writer sees it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use reelway_domain::Offset;

use crate::{
    BlobError,
    error::Tried as _,
    fence::Place,
    fill::{Named, copy_range},
    task::blocking,
};

/// How much is copied before the next writer gets its turn.
const FILL_BYTES: usize = 16 << 20;

/// The writer's handle of one of an upload's files.
///
/// If a future of one of its methods is dropped, the operation may still happen; the next writer's handle is not given
/// out before it has ended.
#[derive(Debug, Clone)]
pub struct StagedFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    place: Place,
    sync_failed: AtomicBool,
}

impl StagedFile {
    pub(crate) fn new(file: File, path: PathBuf, place: Place) -> Self {
        Self {
            inner: Arc::new(Inner {
                file,
                path,
                place,
                sync_failed: AtomicBool::new(false),
            }),
        }
    }

    /// Writes all of `bytes` at `offset`. They are durable only after [`Self::sync`].
    ///
    /// # Errors
    /// [`BlobError::StorageFull`] with how many of the bytes were stored; [`BlobError::Superseded`] if another writer
    /// has taken over: then nothing was written.
    pub async fn write_at(&self, offset: Offset, bytes: Bytes) -> Result<(), BlobError> {
        self.run(move |inner| {
            inner
                .place
                .hold(|| write_all(&inner.file, &inner.path, offset.as_u64(), &bytes))
        })
        .await
    }

    /// Makes everything that was written durable (fdatasync).
    ///
    /// # Errors
    /// Once this has failed, every call on this handle fails. The kernel reports a lost page once and then forgets it,
    /// so a second sync would succeed without the bytes; whoever goes on must write again from the durable offset.
    pub async fn sync(&self) -> Result<(), BlobError> {
        self.run(|inner| inner.synced(File::sync_data)).await
    }

    /// Copies the bytes from `from` up to `to` out of an earlier file of this upload. They are durable only after
    /// [`Self::sync`] or [`Self::finish`]. Doing it again is fine; to stop it, drop the future.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] or [`BlobError::Short`] if the earlier file isn't there or has too few bytes;
    /// [`BlobError::Superseded`] if another writer has taken over.
    pub async fn fill_in(&self, earlier: PathBuf, from: Offset, to: Offset) -> Result<(), BlobError> {
        let earlier = Arc::new(earlier);
        let opening = Arc::clone(&earlier);
        let source = Arc::new(blocking(move || File::open(&*opening).tried("open", &opening)).await?);
        let mut at = from;
        while at < to {
            let end = to.min(at.advanced(FILL_BYTES));
            let (source, path) = (Arc::clone(&source), Arc::clone(&earlier));
            self.run(move |inner| {
                let source = Named {
                    file: &source,
                    path: &path,
                };
                let target = Named {
                    file: &inner.file,
                    path: &inner.path,
                };
                inner
                    .place
                    .hold(|| copy_range(source, target, at.as_u64(), end.as_u64()))
            })
            .await?;
            at = end;
        }
        Ok(())
    }

    /// Ends the file at `size` bytes, dropping what was never acknowledged behind it, and makes all of it durable.
    ///
    /// # Errors
    /// [`BlobError::Short`] if bytes are missing; as [`Self::sync`] otherwise.
    pub async fn finish(&self, size: Offset) -> Result<(), BlobError> {
        let expected = size.as_u64();
        self.run(move |inner| {
            inner.place.hold(|| {
                let have = inner.file.metadata().tried("look at", &inner.path)?.len();
                if have < expected {
                    return Err(BlobError::Short {
                        path: inner.path.clone(),
                        have,
                        expected,
                    });
                }
                if have > expected {
                    inner.file.set_len(expected).tried("truncate", &inner.path)?;
                }
                inner.synced(File::sync_all)
            })
        })
        .await
    }

    async fn run(&self, work: impl FnOnce(&Inner) -> Result<(), BlobError> + Send + 'static) -> Result<(), BlobError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            if inner.sync_failed.load(Ordering::Acquire) {
                return Err(BlobError::SyncFailed {
                    path: inner.path.clone(),
                });
            }
            work(&inner)
        })
        .await
    }
}

impl Inner {
    fn synced(&self, sync: impl FnOnce(&File) -> io::Result<()>) -> Result<(), BlobError> {
        sync(&self.file)
            .inspect_err(|_| self.sync_failed.store(true, Ordering::Release))
            .tried("sync", &self.path)
    }
}

pub(crate) fn write_all(file: &File, path: &Path, offset: u64, bytes: &[u8]) -> Result<(), BlobError> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], offset + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()).tried("write", path),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(error).tried("write", path).map_err(|error| match error {
                    BlobError::StorageFull { .. } => BlobError::StorageFull {
                        written: written as u64,
                    },
                    other => other,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reelway_domain::{UploadId, WriterEpoch};

    use super::*;
    use crate::fence::Fences;

    /// `/dev/full` is a real file on which writes find no room and syncs fail.
    fn on_dev_full() -> StagedFile {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let place = Arc::new(Fences::default())
            .take_over(UploadId::new(), WriterEpoch(1))
            .unwrap();
        StagedFile::new(file, path, place)
    }

    #[tokio::test]
    async fn no_room_at_all() {
        let refused = on_dev_full().write_at(Offset(0), Bytes::from_static(b"a")).await;
        assert!(
            matches!(refused, Err(BlobError::StorageFull { written: 0 })),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_failed_sync_is_never_forgotten() {
        let file = on_dev_full();
        assert!(matches!(file.sync().await, Err(BlobError::Io { .. })));
        for later in [
            file.sync().await,
            file.write_at(Offset(0), Bytes::new()).await,
            file.finish(Offset(0)).await,
        ] {
            assert!(matches!(later, Err(BlobError::SyncFailed { .. })), "{later:?}");
        }
    }
}
