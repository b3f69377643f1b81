use bytes::Bytes;
use reelway_domain::{Failure, FileEpoch, Offset, Reason, UploadId, WriterEpoch};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::{StagedFile, UploadFile};

const FIRST: FileEpoch = FileEpoch::FIRST;

fn store() -> (TempDir, DiskStore) {
    let dir = TempDir::new().unwrap();
    let store = DiskStore::open(dir.path(), Sharing::Shared).unwrap();
    (dir, store)
}

async fn writer(store: &DiskStore) -> (UploadId, StagedFile) {
    let id = UploadId::new();
    store.create_upload(id).await.unwrap();
    (id, store.open_writer(id, WriterEpoch(1), FIRST).await.unwrap())
}

#[tokio::test]
async fn bytes_land_at_their_offsets() {
    let (_dir, store) = store();
    let (id, file) = writer(&store).await;
    file.write_at(Offset(3), Bytes::from_static(b"defgh")).await.unwrap();
    file.write_at(Offset(0), Bytes::from_static(b"abc")).await.unwrap();
    file.sync().await.unwrap();
    store.create_upload(id).await.unwrap();
    assert_eq!(
        fs::read(store.upload_path(id, FIRST)).unwrap(),
        b"abcdefgh",
        "creating again changes nothing"
    );

    file.finish(Offset(6)).await.unwrap();
    assert_eq!(
        fs::read(store.upload_path(id, FIRST)).unwrap(),
        b"abcdef",
        "what was not acknowledged is dropped"
    );
    let expected: [u8; 32] = Sha256::digest(b"abcde").into();
    assert_eq!(store.sha256(id, FIRST, Offset(5)).await.unwrap(), expected);
}

#[tokio::test]
async fn missing_bytes_are_noticed() {
    let (_dir, store) = store();
    let (id, file) = writer(&store).await;
    file.write_at(Offset(0), Bytes::from_static(b"abc")).await.unwrap();
    assert!(matches!(
        file.finish(Offset(4)).await,
        Err(BlobError::Short {
            have: 3,
            expected: 4,
            ..
        })
    ));
    assert!(matches!(
        store.sha256(id, FIRST, Offset(4)).await,
        Err(BlobError::Short {
            have: 3,
            expected: 4,
            ..
        })
    ));
}

#[tokio::test]
async fn an_empty_upload_has_the_digest_of_nothing() {
    let (_dir, store) = store();
    let (id, file) = writer(&store).await;
    file.finish(Offset(0)).await.unwrap();
    let expected: [u8; 32] = Sha256::digest(b"").into();
    assert_eq!(store.sha256(id, FIRST, Offset(0)).await.unwrap(), expected);
}

#[tokio::test]
async fn digests_span_buffers() {
    let (_dir, store) = store();
    let (id, file) = writer(&store).await;
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let expected: [u8; 32] = Sha256::digest(&bytes).into();
    let size = Offset(0).advanced(bytes.len());
    file.write_at(Offset(0), bytes.into()).await.unwrap();
    assert_eq!(store.sha256(id, FIRST, size).await.unwrap(), expected);
}

#[tokio::test]
async fn a_superseded_writer_writes_nothing() {
    let (_dir, store) = store();
    let (id, old) = writer(&store).await;
    let new = store.open_writer(id, WriterEpoch(2), FIRST).await.unwrap();
    new.write_at(Offset(0), Bytes::from_static(b"new")).await.unwrap();
    for refused in [
        old.write_at(Offset(0), Bytes::from_static(b"old")).await,
        old.finish(Offset(0)).await,
    ] {
        let failure = Failure::from(refused.unwrap_err());
        assert_eq!(failure.reason, Reason::WriterSuperseded);
        assert_eq!(failure.metadata["writerEpoch"], "2");
    }
    assert_eq!(fs::read(store.upload_path(id, FIRST)).unwrap(), b"new");
    let late = store.open_writer(id, WriterEpoch(1), FIRST).await;
    assert!(matches!(late, Err(BlobError::Superseded { by: WriterEpoch(2) })));
}

#[tokio::test]
async fn listings_know_uploads_and_jobs_and_nothing_else() {
    let (dir, store) = store();
    let (id, _file) = writer(&store).await;
    let job = JobId::new();
    store
        .output(job)
        .write(&"master.m3u8".parse().unwrap(), Bytes::new())
        .await
        .unwrap();
    fs::write(dir.path().join("uploads/00/lost+found"), b"").unwrap();
    assert_eq!(
        store
            .list_uploads()
            .await
            .unwrap()
            .iter()
            .map(|s| s.id)
            .collect::<Vec<_>>(),
        [UploadFile {
            upload: id,
            epoch: FIRST
        }]
    );
    assert_eq!(
        store
            .list_jobs()
            .await
            .unwrap()
            .iter()
            .map(|s| s.id)
            .collect::<Vec<_>>(),
        [job]
    );

    // A second process start finds the same.
    let again = DiskStore::open(dir.path(), Sharing::Shared).unwrap();
    again.remove_upload(id).await.unwrap();
    again.remove_upload(id).await.unwrap();
    assert_eq!(again.list_uploads().await.unwrap(), []);
    assert!(matches!(
        again.open_writer(id, WriterEpoch(2), FIRST).await,
        Err(BlobError::NotFound { .. })
    ));
    assert!(again.free_bytes().await.unwrap() > 0);
}

/// What an earlier process still writes lands in a file that nobody reads there.
#[tokio::test]
async fn a_writer_of_another_process_has_a_file_of_its_own() {
    let dir = TempDir::new().unwrap();
    let [a, b] = [(); 2].map(|()| DiskStore::open(dir.path(), Sharing::Shared).unwrap());
    assert_eq!(a.identity(), b.identity());
    assert_ne!(a.writer_id(), b.writer_id());
    let (id, old) = writer(&a).await;
    old.write_at(Offset(0), Bytes::from_static(b"abc...")).await.unwrap();
    old.sync().await.unwrap();
    let new = b.open_writer(id, WriterEpoch(2), FileEpoch(2)).await.unwrap();
    new.write_at(Offset(3), Bytes::from_static(b"def")).await.unwrap();
    old.write_at(Offset(3), Bytes::from_static(b"late")).await.unwrap();
    // Twice, as after a crash in the middle.
    for _ in 0..2 {
        new.fill_in(b.upload_path(id, FIRST), Offset(0), Offset(3))
            .await
            .unwrap();
    }
    new.finish(Offset(6)).await.unwrap();
    old.write_at(Offset(0), Bytes::from_static(b"later")).await.unwrap();
    assert_eq!(fs::read(b.upload_path(id, FileEpoch(2))).unwrap(), b"abcdef");
    let missing = new.fill_in(b.upload_path(id, FileEpoch(1)), Offset(0), Offset(1)).await;
    assert!(matches!(missing, Err(BlobError::NotFound { .. })), "{missing:?}");
    assert_eq!(b.list_uploads().await.unwrap().len(), 2);

    b.remove_upload_file(id, FIRST).await.unwrap();
    assert_eq!(b.list_uploads().await.unwrap().len(), 1);
    let (other, _file) = writer(&a).await;
    b.open_writer(id, WriterEpoch(3), FileEpoch(3)).await.unwrap();
    b.remove_upload(id).await.unwrap();
    let left: Vec<_> = b.list_uploads().await.unwrap().iter().map(|s| s.id.upload).collect();
    assert_eq!(left, [other], "all of the one upload's files are gone, and no other");
}

#[tokio::test]
async fn who_has_the_store_for_itself_goes_on_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let open = || DiskStore::open(dir.path(), Sharing::Exclusive);
    let first = open().unwrap();
    let (writer, identity) = (first.writer_id(), first.identity());
    assert!(matches!(open(), Err(BlobError::InUse { .. })));
    first.check().await.unwrap();
    drop(first);
    let second = open().unwrap();
    assert_eq!((second.writer_id(), second.identity()), (writer, identity));
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(second.check().await.is_err(), "a store that is gone");
}

/// A file system of 1 MiB, unmounted at the end; `None` where mounting is not permitted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,nr_inodes=1k", "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_is_typed_and_harms_nothing_else() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: mounting a tmpfs is not permitted here, so a full disk can't be tried");
        return;
    };
    let store = DiskStore::open(disk.0.path(), Sharing::Exclusive).unwrap();
    let (other_id, other) = writer(&store).await;
    other.write_at(Offset(0), Bytes::from_static(b"kept")).await.unwrap();
    let (id, file) = writer(&store).await;
    let before = store.free_bytes().await.unwrap();

    let refused = file.write_at(Offset(0), vec![7; 2 << 20].into()).await.unwrap_err();
    let BlobError::StorageFull { written } = refused else {
        panic!("{refused}")
    };
    assert!(0 < written && written <= before, "{written} of {before}");
    assert_eq!(fs::metadata(store.upload_path(id, FIRST)).unwrap().len(), written);
    assert_eq!(Failure::from(refused).reason, Reason::StorageFull);
    let job = store.output(JobId::new());
    let key = "master.m3u8".parse().unwrap();
    assert!(matches!(
        job.write(&key, vec![7; 4096].into()).await,
        Err(BlobError::StorageFull { .. })
    ));
    assert_eq!(fs::read(store.upload_path(other_id, FIRST)).unwrap(), b"kept");
    assert!(matches!(store.check().await, Err(BlobError::StorageFull { .. })));

    // With room again the same writer goes on.
    file.finish(Offset(10)).await.unwrap();
    file.write_at(Offset(10), Bytes::from_static(b"on")).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(fs::metadata(store.upload_path(id, FIRST)).unwrap().len(), 12);
}
