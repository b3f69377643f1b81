//! A disk that is full.

use std::{path::Path, process::Command};

use reelway::v1::UploadState;
use reelway_domain::Reason;

use super::harness::*;

/// A small file system in memory, unmounted when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` if this process may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(dir.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: files may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that was left out must be seen")]
async fn a_full_disk_keeps_what_is_durable() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: a_full_disk_keeps_what_is_durable: mounting a tmpfs is not permitted here");
        return;
    };
    let node = Node::on_disk(&disk.path().join("blobs")).await;
    let (large, small) = (content(20 * MIB), content(2 * MIB));
    let other = node.create(Some(small.len())).await;
    node.write(chunks(&other, &small.slice(..MIB), 0, MIB)).await.unwrap();
    let upload = node.create(Some(large.len())).await;
    let failure = refused(node.write(chunks(&upload, &large, 0, MIB)).await, Reason::StorageFull);
    let kept = durable(&failure);
    assert!((8 * MIB..12 * MIB).contains(&kept), "{kept}");
    assert_eq!(node.get(&upload.id).await.durable_offset, kept as i64);
    assert!(node.stored(&upload.id).await[..kept] == large[..kept]);
    // Other uploads are unharmed, and room that is made can be used.
    node.abort(&upload.id).await.unwrap();
    assert_eq!(
        node.write(chunks(&other, &small, MIB, MIB)).await.unwrap().state(),
        UploadState::Complete
    );
    assert!(node.stored(&other.id).await == small);
}
