//! Where the bytes of a node are: on a disk, or in a bucket of the server that `scripts/test` starts.

use std::path::Path;

use futures_util::TryStreamExt as _;
use reelway_blob::{BucketSettings, BucketStore, DiskStore, Held, Owner, Sharing, SourcePlace, Store};
use reelway_domain::Offset;

use super::Node;

/// Makes two tests of each function, one for each kind of store.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod disk {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::testing::At::Disk).await;
            })+
        }
        mod bucket {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::testing::At::Bucket).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// Where the bytes of a test are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum At {
    #[default]
    Disk,
    Bucket,
}

impl At {
    /// The store that belongs to this directory.
    pub(super) async fn open(self, data: &Path, sharing: Sharing) -> Store {
        match self {
            Self::Disk => DiskStore::open(data.join("blobs"), sharing).unwrap().into(),
            Self::Bucket => {
                let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
                // The directory is another one for each test.
                let prefix = data.file_name().unwrap().to_str().unwrap().trim_matches('.');
                let url = format!("{}/{prefix}", of("REELWAY_TEST_S3"));
                let settings = BucketSettings {
                    endpoint: Some(of("REELWAY_TEST_S3_ENDPOINT").parse().unwrap()),
                    ..BucketSettings::default()
                };
                let opened = BucketStore::open(&url.parse().unwrap(), &settings).await;
                opened.unwrap().into()
            }
        }
    }
}

impl Node {
    /// The store of a test on disk.
    pub(crate) fn disk(&self) -> &DiskStore {
        self.store.disk().expect("the test is one on disk")
    }

    /// Whether so many bytes of an upload have come: on disk also if they are not durable yet, in a bucket when they are.
    pub(crate) async fn has_come(&self, id: &str, bytes: usize) -> bool {
        let row = self.upload(id).await;
        let come = match self.store.disk() {
            Some(disk) => {
                let file = std::fs::metadata(disk.upload_path(row.id, row.file_epoch));
                file.map_or(0, |file| file.len())
            }
            None => row.durable_offset.as_u64(),
        };
        come >= bytes as u64
    }

    /// The bytes of an upload; of one that is not complete only on disk.
    pub(crate) async fn stored(&self, id: &str) -> Vec<u8> {
        let row = self.upload(id).await;
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

    /// Whether the store has anything of an upload.
    pub(crate) async fn keeps(&self, id: &str) -> bool {
        let row = self.upload(id).await;
        match &self.store {
            Store::Disk(disk) => disk.upload_path(row.id, row.file_epoch).exists(),
            Store::Bucket(bucket) => {
                let held: Vec<Held> = bucket.held().try_collect().await.unwrap();
                held.iter().any(|held| held.owner == Owner::Upload(row.id))
            }
        }
    }
}
