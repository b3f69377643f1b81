//! Outputs: small and large ones, replaced as a whole, found and removed.

use std::{fs, os::unix::fs::symlink};

use bytes::Bytes;
use reelway_domain::JobId;

use super::places::Place;
use crate::{BlobError, JobOutput, OutputKey};

fn key(text: &str) -> OutputKey {
    text.parse().unwrap()
}

#[tokio::test]
async fn files_are_taken_over_whatever_their_size() {
    for place in Place::all() {
        let (store, dir) = (place.open().await, tempfile::tempdir().unwrap());
        let output = store.output(JobId::new());
        for (number, size) in [0, 1, (8 << 20) + 5].into_iter().enumerate() {
            let (file, key) = (dir.path().join("made"), key(&format!("video-e1/{number}.m4s")));
            let bytes = vec![9; size];
            // Disks take over files of their own file system only.
            fs::write(&file, &bytes).unwrap();
            output.adopt(&key, &file).await.unwrap();
            assert!(!file.exists(), "{place:?}: it is the store's now");
            assert_eq!(output.read(&key).await.unwrap(), bytes, "{place:?}");
            let local = output.local(&key, &dir.path().join("copy")).await.unwrap();
            assert_eq!(fs::read(local).unwrap(), bytes, "{place:?}");
        }
    }
}

#[tokio::test]
async fn links_are_not_followed() {
    for place in Place::all() {
        let (store, dir) = (place.open().await, tempfile::tempdir().unwrap());
        let (secret, link) = (dir.path().join("secret"), dir.path().join("link"));
        fs::write(&secret, "x").unwrap();
        symlink(&secret, &link).unwrap();
        let output = store.output(JobId::new());
        let refused = output.adopt(&key("a.m4s"), &link).await;
        assert!(matches!(refused, Err(BlobError::Io { .. })), "{place:?}: {refused:?}");
        assert!(
            link.symlink_metadata().is_ok() && secret.exists(),
            "{place:?}: both stay"
        );
    }
}

#[tokio::test]
async fn what_is_written_again_is_replaced() {
    for place in Place::all() {
        let (output, playlist) = (place.open().await.output(JobId::new()), key("master.m3u8"));
        for text in ["a longer text", "short"] {
            output
                .write(&playlist, Bytes::from_static(text.as_bytes()))
                .await
                .unwrap();
            assert_eq!(output.read(&playlist).await.unwrap(), text, "{place:?}");
        }
    }
}

#[tokio::test]
async fn outputs_are_found_and_removed_by_their_beginnings() {
    let names = [
        "master.m3u8",
        "video-e1/0.m4s",
        "video-e1/deep/1.m4s",
        "video-e12/0.m4s",
    ];
    for place in Place::all() {
        let store = place.open().await;
        let (job, other) = (store.output(JobId::new()), store.output(JobId::new()));
        assert_eq!(job.prefixes().await.unwrap(), [], "{place:?}");
        for output in [&job, &other] {
            for name in names {
                output.write(&key(name), Bytes::from_static(b"x")).await.unwrap();
            }
        }
        let mut prefixes = job.prefixes().await.unwrap();
        prefixes.sort_by(|one, two| one.as_str().cmp(two.as_str()));
        assert_eq!(
            prefixes,
            [key("master.m3u8"), key("video-e1"), key("video-e12")],
            "{place:?}"
        );
        for _ in 0..2 {
            job.remove_prefix(&key("video-e1")).await.unwrap();
        }
        assert_eq!(
            left(&job, &names).await,
            ["master.m3u8", "video-e12/0.m4s"],
            "{place:?}"
        );
        shows(&place, &job, &[key("master.m3u8"), key("video-e12")]).await;
        for _ in 0..2 {
            job.remove().await.unwrap();
        }
        assert!(left(&job, &names).await.is_empty(), "{place:?}");
        shows(&place, &job, &[]).await;
        assert_eq!(left(&other, &names).await, names, "{place:?}: another job's stay");
    }
}

/// Checks that these are at the top. On the S3 server of the tests directories that have become empty stay there; a store whose listings
/// are made of keys alone has none.
async fn shows(place: &Place, job: &JobOutput, expected: &[OutputKey]) {
    let prefixes = job.prefixes().await.unwrap();
    let is_missing = |key: &&OutputKey| !prefixes.contains(key);
    assert_eq!(expected.iter().find(is_missing), None, "{place:?}: {prefixes:?}");
    if matches!(place, Place::Disk(_)) {
        assert_eq!(prefixes.len(), expected.len(), "{prefixes:?}");
    }
}

/// Which of these can be read.
async fn left<'a>(output: &JobOutput, names: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        match output.read(&key(name)).await {
            Ok(_) => found.push(*name),
            Err(error) => assert!(matches!(error, BlobError::NotFound { .. }), "{error}"),
        }
    }
    found
}
