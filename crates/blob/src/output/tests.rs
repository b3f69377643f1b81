use std::fs;

use tempfile::TempDir;

use super::*;
use crate::DiskStore;

fn key(text: &str) -> OutputKey {
    text.parse().unwrap()
}

fn output() -> (TempDir, DiskOutput) {
    let dir = TempDir::new().unwrap();
    let store = DiskStore::open(dir.path().join("store"), crate::Sharing::Exclusive).unwrap();
    (dir, store.output(JobId::new()))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = dir::entries(dir).unwrap().into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn adopting_moves_and_never_overwrites() {
    let (dir, job) = output();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    fs::write(&first, b"first").unwrap();
    fs::write(&second, b"second").unwrap();
    let key = key("e1/720p/00000.m4s");
    job.adopt(&key, &first).await.unwrap();
    assert!(!first.exists());
    assert!(matches!(
        job.adopt(&key, &second).await,
        Err(BlobError::AlreadyExists { .. })
    ));
    assert_eq!(
        fs::read(&second).unwrap(),
        b"second",
        "a refused file is still its owner's"
    );
    let (mut file, len) = job.open(&key).await.unwrap();
    assert_eq!((io::read_to_string(&mut file).unwrap().as_str(), len), ("first", 5));
}

#[tokio::test]
async fn adopting_copies_from_another_file_system() {
    let Ok(elsewhere) = TempDir::new_in("/dev/shm") else {
        eprintln!("SKIPPED: there is no /dev/shm, so no second file system to adopt from");
        return;
    };
    let (_dir, job) = output();
    let from = elsewhere.path().join("a");
    fs::write(&from, b"bytes").unwrap();
    job.adopt(&key("e1/a"), &from).await.unwrap();
    assert!(!from.exists());
    fs::write(&from, b"others").unwrap();
    assert!(matches!(
        job.adopt(&key("e1/a"), &from).await,
        Err(BlobError::AlreadyExists { .. })
    ));
    assert!(from.exists());
    assert_eq!(job.read(&key("e1/a")).await.unwrap(), "bytes");
    assert_eq!(names(&job.path(&key("e1"))), ["a"], "nothing unfinished is left");
}

#[tokio::test]
async fn only_regular_files_are_adopted() {
    let (dir, job) = output();
    let secret = dir.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    let (link, pipe) = (dir.path().join("link"), dir.path().join("pipe"));
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for hostile in [&link, &pipe, &dir.path().to_owned()] {
        let refused = job.adopt(&key("e1/a"), hostile).await;
        assert!(matches!(refused, Err(BlobError::Io { .. })), "{hostile:?}: {refused:?}");
    }
    assert!(matches!(job.open(&key("e1/a")).await, Err(BlobError::NotFound { .. })));
}

#[tokio::test]
async fn writing_replaces_as_a_whole() {
    let (_dir, job) = output();
    job.write(&key("master.m3u8"), Bytes::from_static(b"long before"))
        .await
        .unwrap();
    job.write(&key("master.m3u8"), Bytes::from_static(b"after"))
        .await
        .unwrap();
    assert_eq!(job.read(&key("master.m3u8")).await.unwrap(), "after");
    assert_eq!(names(&job.dir), ["master.m3u8"]);
}

#[tokio::test]
async fn removing_takes_what_is_below_and_nothing_else() {
    let (_dir, job) = output();
    for name in ["e1/a", "e1/b/c", "e2/a", "e11"] {
        job.write(&key(name), Bytes::new()).await.unwrap();
    }
    job.remove_prefix(&key("e1")).await.unwrap();
    job.remove_prefix(&key("e1")).await.unwrap();
    assert_eq!(names(&job.dir), ["e11", "e2"]);
    assert!(matches!(job.open(&key("e1/a")).await, Err(BlobError::NotFound { .. })));
    assert!(
        matches!(job.open(&key("e2")).await, Err(BlobError::NotFound { .. })),
        "a directory is no output"
    );
    job.remove().await.unwrap();
    job.remove().await.unwrap();
    assert!(!job.dir.exists());
}

#[tokio::test]
async fn prefixes_are_what_stands_at_the_top() {
    let (_dir, job) = output();
    assert_eq!(job.prefixes().await.unwrap(), []);
    for text in ["video-0-e1/a/b.m4s", "video-0-e1/c.m4s", "poster.jpg"] {
        job.write(&key(text), Bytes::from_static(b"x")).await.unwrap();
    }
    dir::unfinished(&job.dir).unwrap().keep().unwrap();
    let mut prefixes = job.prefixes().await.unwrap();
    prefixes.sort_by_key(OutputKey::to_string);
    assert_eq!(prefixes, [key("poster.jpg"), key("video-0-e1")]);
}
