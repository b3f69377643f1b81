//! Reading an upload that is complete, and doesn't change any more.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use reelway_domain::{FileEpoch, Offset, UploadId};

use crate::{BlobError, DiskStore, error::Tried as _, task::blocking};

/// One of an upload's files, to be read.
#[derive(Debug, Clone)]
pub struct UploadReader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
}

impl DiskStore {
    /// Opens one of an upload's files for reading. What has been opened can be read to its end, also if it is removed meanwhile.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if there is no such file.
    pub async fn read_upload(&self, id: UploadId, file: FileEpoch) -> Result<UploadReader, BlobError> {
        let path = self.upload_path(id, file);
        blocking(move || {
            let file = File::open(&path).tried("open", &path)?;
            let inner = Arc::new(Inner { file, path });
            Ok(UploadReader { inner })
        })
        .await
    }
}

impl UploadReader {
    /// Reads exactly so many bytes, all of which are in memory then.
    ///
    /// # Errors
    /// [`BlobError::Short`] if the file ends before.
    pub async fn read_at(&self, offset: Offset, bytes: usize) -> Result<Bytes, BlobError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let mut data = vec![0; bytes];
            read_all(&inner.file, &inner.path, offset.as_u64(), &mut data)?;
            Ok(data.into())
        })
        .await
    }
}

fn read_all(file: &File, path: &Path, offset: u64, data: &mut [u8]) -> Result<(), BlobError> {
    file.read_exact_at(data, offset).or_else(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Err(BlobError::Short {
                path: path.to_owned(),
                have: file.metadata().tried("look at", path)?.len(),
                expected: offset + data.len() as u64,
            });
        }
        Err(error).tried("read", path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sharing;

    #[tokio::test]
    async fn exactly_what_is_asked_for_or_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path().join("blobs"), Sharing::Exclusive).unwrap();
        let id = UploadId::new();
        let missing = store.read_upload(id, FileEpoch::FIRST).await.unwrap_err();
        assert!(matches!(missing, BlobError::NotFound { .. }), "{missing}");
        std::fs::write(store.upload_path(id, FileEpoch::FIRST), "abcdef").unwrap();
        let reader = store.read_upload(id, FileEpoch::FIRST).await.unwrap();
        store.remove_upload(id).await.unwrap();
        assert_eq!(reader.read_at(Offset(2), 3).await.unwrap(), "cde");
        assert_eq!(reader.read_at(Offset(6), 0).await.unwrap(), "");
        let short = reader.read_at(Offset(4), 3).await.unwrap_err();
        assert!(
            matches!(
                short,
                BlobError::Short {
                    have: 6,
                    expected: 7,
                    ..
                }
            ),
            "{short}"
        );
    }
}
