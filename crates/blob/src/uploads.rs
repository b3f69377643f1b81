//! Uploads in the store: one file each, or several while several processes write them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use reelway_domain::{FileEpoch, Offset, UploadId, WriterEpoch};

use crate::{
    BlobError, DiskStore, StagedFile, Stored, TailFile, TailFileError, UploadFile, UploadFileError, digest, dir,
    error::Tried as _,
    store::{list, shards},
    task::blocking,
};

impl DiskStore {
    /// Makes an empty file for an upload, durably. It is fine if it is there already.
    ///
    /// # Errors
    /// If the file can't be made.
    pub async fn create_upload(&self, id: UploadId) -> Result<(), BlobError> {
        let path = self.upload_path(id, FileEpoch::FIRST);
        blocking(move || create(&path).map(drop)).await
    }

    /// Takes over the writing of an upload, into the file that the catalog names. When this has returned, no write of an
    /// earlier writer of this process is under way, and none will begin.
    ///
    /// A writer that was slow to come here may have been superseded by one that came and went: whoever got a handle
    /// asks the catalog whether its epoch is still the newest, before it writes.
    ///
    /// # Errors
    /// [`BlobError::Superseded`] if a later writer is there; [`BlobError::NotFound`] if the upload's first file is to be
    /// gone on with and is not there.
    pub async fn open_writer(
        &self,
        id: UploadId,
        epoch: WriterEpoch,
        file: FileEpoch,
    ) -> Result<StagedFile, BlobError> {
        let (path, fences) = (self.upload_path(id, file), Arc::clone(&self.fences));
        blocking(move || {
            let opened = if file == FileEpoch::FIRST {
                File::options().write(true).open(&path).tried("open", &path)?
            } else {
                create(&path)?
            };
            Ok(StagedFile::new(opened, path, fences.take_over(id, epoch)?))
        })
        .await
    }

    /// The SHA-256 of the first `size` bytes of one of an upload's files. Reads with a fixed buffer; to stop it, drop the future.
    ///
    /// # Errors
    /// [`BlobError::Short`] if the file ends before `size`.
    pub async fn sha256(&self, id: UploadId, file: FileEpoch, size: Offset) -> Result<[u8; 32], BlobError> {
        digest::sha256(self.upload_path(id, file), size).await
    }

    /// Removes all of an upload's files, its tail too. It is fine if there are none.
    ///
    /// # Errors
    /// If they can't be listed, or one of them can't be removed.
    pub async fn remove_upload(&self, id: UploadId) -> Result<(), BlobError> {
        let shard = self.shard(id);
        blocking(move || {
            for name in dir::names(&shard)? {
                if name.parse().is_ok_and(|file: StoredFile| file.upload() == id) {
                    dir::remove(&shard.join(name))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes one of an upload's files. It is fine if there is none.
    ///
    /// # Errors
    /// If it can't be removed.
    pub async fn remove_upload_file(&self, id: UploadId, file: FileEpoch) -> Result<(), BlobError> {
        let path = self.upload_path(id, file);
        blocking(move || dir::remove(&path)).await
    }

    /// Where one of an upload's files is on this disk. A complete upload is wholly in the one that the catalog names.
    #[must_use]
    pub fn upload_path(&self, id: UploadId, file: FileEpoch) -> PathBuf {
        let name = UploadFile {
            upload: id,
            epoch: file,
        };
        self.shard(id).join(name.to_string())
    }

    /// The directory of an upload's files.
    pub(crate) fn shard(&self, id: UploadId) -> PathBuf {
        let name = id.to_string();
        // The first digits of an id are its time: only the last ones spread evenly.
        self.uploads.join(&name[name.len() - 2..])
    }

    /// Every file of every upload, in no order.
    ///
    /// # Errors
    /// If a directory can't be read.
    pub async fn list_uploads(&self) -> Result<Vec<Stored<UploadFile>>, BlobError> {
        let uploads = self.uploads.clone();
        blocking(move || {
            let mut found = Vec::new();
            for shard in shards(&uploads) {
                list(&shard, &mut found)?;
            }
            let files = found.into_iter().filter_map(|Stored { id, modified }| match id {
                StoredFile::Upload(id) => Some(Stored { id, modified }),
                StoredFile::Tail(_) => None,
            });
            Ok(files.collect())
        })
        .await
    }
}

/// What stands in the directory of an upload's files.
#[derive(Debug)]
pub(crate) enum StoredFile {
    Upload(UploadFile),
    Tail(TailFile),
}

impl StoredFile {
    fn upload(&self) -> UploadId {
        match self {
            Self::Upload(file) => file.upload,
            Self::Tail(file) => file.upload,
        }
    }
}

impl FromStr for StoredFile {
    type Err = TailFileError;

    fn from_str(name: &str) -> Result<Self, TailFileError> {
        let tail = || name.parse().map(Self::Tail);
        name.parse().map(Self::Upload).or_else(|_: UploadFileError| tail())
    }
}

/// Opens a file for writing, making it durably if it isn't there. A file that is there is synced too: whoever made it may
/// have been killed before doing so.
fn create(path: &Path) -> Result<File, BlobError> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .tried("create", path)?;
    path.parent().map_or(Ok(()), dir::sync_dir)?;
    Ok(file)
}
