//! On the real server, by way of a proxy that breaks answers. What `object_store` would do about it is switched off.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, RetryConfig, aws::AmazonS3Builder};
use reelway_domain::UploadId;
use reelway_testkit::{S3Call, S3Fault, S3Proxy};

use super::*;
use crate::{
    BucketStore,
    bucket::tests::{content, store_at},
};

const BYTES: usize = 3 << 20;

/// A proxy, an object behind it with what it holds, and what reads it.
struct Given {
    proxy: S3Proxy,
    store: BucketStore,
    reader: ObjectReader,
    whole: Bytes,
}

async fn given() -> Given {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
    let (url, server) = (of("REELWAY_TEST_S3"), of("REELWAY_TEST_S3_ENDPOINT"));
    let proxy = S3Proxy::before(server.trim_start_matches("http://").parse().unwrap()).await;
    let mut store = store_at(&proxy.url(), None).await;
    let (bucket, _) = url.trim_start_matches("s3://").split_once('/').unwrap();
    let without_retries = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_endpoint(proxy.url())
        .with_allow_http(true)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build();
    Arc::get_mut(&mut store.inner).unwrap().objects = Arc::new(without_retries.unwrap());
    let (key, whole) = (store.inner.names.check(&UploadId::new().to_string()), content(BYTES, 5));
    store.inner.objects.put(&key, whole.clone().into()).await.unwrap();
    drop(proxy.take_calls());
    Given {
        reader: store.reader(key.as_ref()),
        proxy,
        store,
        whole,
    }
}

async fn opened(reader: &ObjectReader, wanted: ByteSpan) -> OpenObject {
    match reader.open(wanted).await.unwrap() {
        Opened::Bytes(opened) => opened,
        outside => panic!("{outside:?}"),
    }
}

async fn all(opened: OpenObject) -> Result<Vec<u8>, BlobError> {
    let pieces: Vec<Bytes> = opened.into_stream().try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn one_request_says_all_about_a_part_of_an_object() {
    let given = given().await;
    let size = BYTES as u64;
    for wanted in [
        ByteSpan::Whole,
        ByteSpan::Between(7, 700_000),
        ByteSpan::Between(size - 9, size + 9),
        ByteSpan::From(size - 1),
        ByteSpan::Last(100),
    ] {
        let opened = opened(&given.reader, wanted).await;
        assert_eq!(opened.size_bytes, size, "{wanted:?}");
        let (from, to) = (opened.from, opened.to);
        assert_eq!(Some((from, to)), wanted.within(size), "{wanted:?}");
        let expected = given
            .whole
            .slice(usize::try_from(from).unwrap()..usize::try_from(to).unwrap());
        assert!(all(opened).await.unwrap() == expected, "{wanted:?}");
        assert_eq!(given.proxy.take_calls(), [S3Call::Get], "{wanted:?}");
    }
}

#[tokio::test]
async fn what_an_object_does_not_have_is_told_with_its_length() {
    let given = given().await;
    let size = BYTES as u64;
    for wanted in [
        ByteSpan::From(size),
        ByteSpan::Between(size + 5, size + 6),
        ByteSpan::Last(0),
    ] {
        match given.reader.open(wanted).await.unwrap() {
            Opened::Outside { size_bytes } => assert_eq!(size_bytes, size, "{wanted:?}"),
            inside @ Opened::Bytes(_) => panic!("{wanted:?}: {inside:?}"),
        }
    }
    let all = opened(&given.reader, ByteSpan::Last(size + 1)).await;
    assert_eq!((all.from, all.to), (0, size));
    let missing = given.store.reader("no/such/object").open(ByteSpan::From(1)).await;
    assert!(matches!(missing, Err(BlobError::NotFound { .. })), "{missing:?}");
}

#[tokio::test]
async fn broken_answers_are_gone_on_with() {
    let given = given().await;
    let mut broken = 0;
    given.proxy.breaks(move |call| {
        assert_eq!(call, S3Call::Get, "nothing else is needed");
        broken += 1;
        (broken < 4).then_some(S3Fault::CutAnswerAfter(700_001))
    });
    let read = all(opened(&given.reader, ByteSpan::From(1)).await).await.unwrap();
    assert!(read == given.whole.slice(1..), "the same bytes");
    assert_eq!(given.proxy.take_calls(), [S3Call::Get; 4]);
}

#[tokio::test]
async fn a_store_that_gives_nothing_any_more_is_given_up() {
    let given = given().await;
    let mut bytes = 1 << 20;
    given
        .proxy
        .breaks(move |_| Some(S3Fault::CutAnswerAfter(std::mem::take(&mut bytes))));
    let opened = opened(&given.reader, ByteSpan::Whole).await;
    assert!(matches!(all(opened).await, Err(BlobError::Remote { .. })));
    assert_eq!(given.proxy.take_calls(), [S3Call::Get; 1 + FAILURES_MAX as usize]);
}

#[tokio::test]
async fn another_object_is_not_gone_on_with() {
    let given = given().await;
    let mut is_first = true;
    given.proxy.breaks(move |_| {
        let cut = is_first.then_some(S3Fault::CutAnswerAfter(1 << 20));
        is_first = false;
        cut
    });
    let opened = opened(&given.reader, ByteSpan::Whole).await;
    let other = content(BYTES, 6);
    let put = given.store.inner.objects.put(&given.reader.key, other.into()).await;
    put.unwrap();
    assert!(matches!(all(opened).await, Err(BlobError::Remote { .. })));
}
