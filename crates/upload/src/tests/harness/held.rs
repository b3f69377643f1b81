//! What the store of a node has.

use std::path::PathBuf;

use reelway_blob::{DiskStore, Held, Owner, SourcePlace, Store};
use reelway_domain::{FileEpoch, Offset, UploadId};
use tokio_stream::StreamExt as _;

use super::Node;

impl Node {
    /// The store of a test on disk.
    pub(crate) fn disk(&self) -> &DiskStore {
        self.store.disk().expect("the test is one on disk")
    }

    /// The upload's first file: its only one, unless several nodes wrote it.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.disk().upload_path(id.parse().unwrap(), FileEpoch::FIRST)
    }

    /// What the store has of an upload; of one that is not complete only on disk.
    pub(crate) async fn stored(&self, id: &str) -> Vec<u8> {
        let row = self.row(id).await;
        if let Some(disk) = self.store.disk() {
            return std::fs::read(disk.upload_path(row.id, row.file_epoch)).unwrap();
        }
        let size = usize::try_from(row.size.unwrap()).unwrap();
        let place = SourcePlace {
            upload: row.id,
            file: row.file_epoch,
            key: row.source_key,
        };
        let source = self.store.read_upload(&place).await.unwrap();
        source.read_at(Offset::ZERO, size).await.unwrap().to_vec()
    }

    /// Whether the store has these bytes of an upload that is not complete, as far as that can be seen.
    pub(crate) async fn has(&self, id: &str, from: usize, bytes: &[u8]) -> bool {
        let to = from + bytes.len();
        match &self.store {
            Store::Disk(_) => self.stored(id).await[from..to] == *bytes,
            Store::Bucket(_) => {
                let staged = self.catalog.staged(id.parse().unwrap()).await.unwrap();
                let parts_end = staged.parts.last().map(reelway_domain::StoredPart::to);
                let end = staged.rests.last().map(|rest| rest.to).or(parts_end);
                let row = self.row(id).await;
                row.source_key.is_some() || end.is_some_and(|end| end.as_u64() >= to as u64)
            }
        }
    }

    /// The uploads that the store has anything of, once for each thing.
    pub(crate) async fn uploads(&self) -> Vec<UploadId> {
        match &self.store {
            Store::Disk(disk) => {
                let files = disk.list_uploads().await.unwrap();
                files.into_iter().map(|file| file.id.upload).collect()
            }
            Store::Bucket(bucket) => {
                let held: Vec<_> = bucket.held().collect().await;
                let upload = |held: Result<Held, _>| match held.unwrap().owner {
                    Owner::Upload(upload) => Some(upload),
                    _ => None,
                };
                held.into_iter().filter_map(upload).collect()
            }
        }
    }

    /// Whether the store has nothing of an upload.
    pub(crate) async fn is_freed(&self, id: &str) -> bool {
        !self.uploads().await.contains(&id.parse().unwrap())
    }
}
