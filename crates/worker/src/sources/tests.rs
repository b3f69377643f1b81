//! On a real S3 server, by way of a proxy that counts and breaks.

use std::time::Duration;

use http::StatusCode;
use reelway_blob::{BucketOutput, OutputKey};
use reelway_domain::JobId;
use reelway_testkit::{S3Call, S3Fault};

use super::*;
use crate::bucket_testing::{Bucket, content};

const BLOCK: u64 = 256 << 10;
const BYTES: usize = 9 * (256 << 10) + 77;

struct Given {
    bucket: Bucket,
    output: BucketOutput,
    key: OutputKey,
    object: ObjectReader,
    content: Vec<u8>,
    dir: tempfile::TempDir,
}

impl Given {
    async fn new() -> Self {
        let (bucket, content) = (Bucket::new().await, content(BYTES, 1));
        let (output, key) = (
            bucket.store.output(JobId::new()),
            "plan-0000-e1/source.mkv".parse().unwrap(),
        );
        output.write(&key, content.clone().into()).await.unwrap();
        drop(bucket.proxy.take_calls());
        Self {
            object: output.reader(&key),
            output,
            key,
            bucket,
            content,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn sources(&self, blocks_max: u64) -> Sources {
        let settings = SourceCache {
            bytes_max: blocks_max * BLOCK,
            block_bytes: BLOCK,
        };
        Sources::new(self.dir.path().join("sources"), settings)
    }

    fn gets(&self) -> usize {
        let calls = self.bucket.proxy.take_calls();
        calls.iter().filter(|call| **call == S3Call::Get).count()
    }

    /// What blocks take of the disk.
    fn kept_bytes(&self) -> u64 {
        let Ok(files) = std::fs::read_dir(self.dir.path().join("sources")) else {
            return 0;
        };
        files
            .map(|file| file.unwrap().metadata().map_or(0, |file| file.len()))
            .sum()
    }

    async fn copied(&self, sources: &Sources, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.dir.path().join(name);
        sources.copy(&self.object, &path).await?;
        Ok(std::fs::read(path).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_fetched_again() {
    let given = Given::new().await;
    let sources = given.sources(100);
    assert_eq!(sources.size_bytes(&given.object).await.unwrap(), BYTES as u64);
    assert_eq!(given.gets(), 1);
    // Everybody wants everything at once.
    let copies = ["a", "b", "c", "d"].map(|name| given.copied(&sources, name));
    let [a, b, c, d] = copies;
    let copies = tokio::join!(a, b, c, d);
    for copy in [copies.0, copies.1, copies.2, copies.3] {
        assert!(copy.unwrap() == given.content);
    }
    assert_eq!(given.gets(), 9, "each of the other blocks once");
    let read = sources.read(&given.object, BLOCK - 3, 6).await.unwrap();
    assert_eq!(read, given.content[(256 << 10) - 3..][..6]);
    let end = sources.read(&given.object, BYTES as u64 - 2, 6).await.unwrap();
    assert_eq!(end, given.content[BYTES - 2..], "it ends there");
    assert_eq!(given.gets(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_alone_are_fetched_and_copied() {
    let given = Given::new().await;
    let (sources, path) = (given.sources(100), given.dir.path().join("view"));
    let ranges = [(5, 9), (3 * BLOCK - 1, 3 * BLOCK + 1), (BYTES as u64 - 4, BYTES as u64)];
    let ranges = ranges.map(|(start, end)| ByteRange { start, end });
    sources
        .copy_ranges(&given.object, &ranges, BYTES as u64, &path)
        .await
        .unwrap();
    let view = std::fs::read(path).unwrap();
    let mut expected = vec![0; BYTES];
    for range in ranges {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        expected[range.clone()].copy_from_slice(&given.content[range]);
    }
    assert!(view == expected);
    assert_eq!(given.gets(), 4, "the blocks that they lie in");
    let behind = ByteRange {
        start: BYTES as u64 - 1,
        end: BYTES as u64 + 1,
    };
    let short = sources
        .copy_ranges(&given.object, &[behind], 1, &given.dir.path().join("short"))
        .await;
    assert_eq!(short.unwrap_err().reason, Reason::Internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_never_more_than_is_allowed() {
    let given = Given::new().await;
    for blocks_max in [1, 3] {
        let sources = given.sources(blocks_max);
        let copies = async { tokio::join!(given.copied(&sources, "a"), given.copied(&sources, "b")) };
        let mut copies = std::pin::pin!(copies);
        let copies = loop {
            tokio::select! {
                copies = &mut copies => break copies,
                () = tokio::task::yield_now() => {}
            }
            assert!(given.kept_bytes() <= blocks_max * BLOCK, "{blocks_max}");
        };
        assert!(copies.0.unwrap() == given.content && copies.1.unwrap() == given.content);
        assert!(given.kept_bytes() > 0);
        // What was used last is what is kept.
        given.gets();
        sources.read(&given.object, 8 * BLOCK, 1).await.unwrap();
        given.gets();
        sources.read(&given.object, 8 * BLOCK + 1, 1).await.unwrap();
        assert_eq!(given.gets(), 0);
        sources.clear();
        assert_eq!(given.kept_bytes(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_is_gone_on_with() {
    let given = Given::new().await;
    let sources = given.sources(100);
    let mut calls = 0;
    given.bucket.proxy.breaks(move |_| {
        calls += 1;
        match calls % 5 {
            1 => Some(S3Fault::Answer(StatusCode::SERVICE_UNAVAILABLE)),
            2 => Some(S3Fault::CutAnswerAfter(100_001)),
            3 => Some(S3Fault::Late(Duration::from_millis(30))),
            _ => None,
        }
    });
    assert!(given.copied(&sources, "copy").await.unwrap() == given.content);
    assert!(given.gets() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_nobody_waits_for_is_left_out() {
    let given = Given::new().await;
    let sources = given.sources(100);
    given
        .bucket
        .proxy
        .breaks(|_| Some(S3Fault::Late(Duration::from_secs(3600))));
    let mut copy = Box::pin(given.copied(&sources, "copy"));
    let asked = async {
        while given.gets() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        copied = &mut copy => panic!("{copied:?}"),
        () = asked => drop(copy),
    }
    assert_eq!(given.kept_bytes(), 0);
    given.bucket.proxy.restore();
    assert!(given.copied(&sources, "again").await.unwrap() == given.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_object_and_none_are_errors() {
    let given = Given::new().await;
    let sources = given.sources(100);
    sources.read(&given.object, 0, 1).await.unwrap();
    let other = content(BYTES, 2);
    given.output.write(&given.key, other.clone().into()).await.unwrap();
    let changed = given.copied(&sources, "changed").await;
    assert_eq!(changed.unwrap_err().reason, Reason::StoreUnavailable);
    assert!(
        given.copied(&sources, "other").await.unwrap() == other,
        "nothing of the first one is left"
    );
    sources.clear();
    given.output.remove_prefix(&given.key).await.unwrap();
    let gone = given.copied(&sources, "gone").await.unwrap_err();
    assert!(
        gone.reason == Reason::Internal && gone.message.contains("is not there"),
        "{gone}"
    );
    assert_eq!(given.kept_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_frees_what_is_here() {
    let given = Given::new().await;
    let sources = given.sources(100);
    sources.read(&given.object, 0, 1).await.unwrap();
    // The next block goes where every write finds no room.
    let next = given.dir.path().join("sources/2");
    std::os::unix::fs::symlink("/dev/full", next).unwrap();
    let full = sources.read(&given.object, BLOCK, 1).await;
    assert_eq!(full.unwrap_err().reason, Reason::StorageFull);
    assert_eq!(given.kept_bytes(), 0, "room for whoever needs it more");
    assert!(given.copied(&sources, "copy").await.unwrap() == given.content);
}
