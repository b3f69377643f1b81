use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::*;
use crate::{
    bucket::tests::content,
    testing::{At, on_each},
};

const MIB: usize = 1 << 20;

on_each!(parts_beyond_a_page_are_found);

/// What a browser would do: a plain PUT. Gives the status and the ETag.
async fn put(store: &BucketStore, url: &str, body: impl Into<bytes::Bytes>) -> (u16, String) {
    let body: bytes::Bytes = body.into();
    let request = http::Request::put(url)
        .header("content-length", body.len())
        .body(body.into())
        .unwrap();
    let answer = store.inner.wire.http.execute(request).await.unwrap();
    let etag = answer.headers().get("etag");
    let etag = etag.map_or("", |etag| etag.to_str().unwrap()).to_owned();
    (answer.status().as_u16(), etag)
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_client_puts_parts_that_are_listed() {
    let store = At::S3.store(None).await;
    assert!(store.takes_direct_parts());
    let (id, content) = (UploadId::new(), content(5 * MIB, 3));
    let multipart = store.begin_multipart(id, WriterEpoch(1)).await.unwrap();
    assert_eq!(store.parts_there(&multipart, 1, 9).await.unwrap(), []);
    let mut etags = Vec::new();
    for number in [7, 3, 5] {
        let url = store.sign_part(&multipart, number, HOUR).await.unwrap();
        let (status, etag) = put(&store, &url, content.clone()).await;
        assert_eq!(status, 200, "part {number}");
        etags.push(etag);
    }
    let there = store.parts_there(&multipart, 4, 7).await.unwrap();
    let expected: Vec<_> = [(5, &etags[2]), (7, &etags[0])]
        .map(|(number, etag)| ListedPart {
            number,
            size_bytes: 5 << 20,
            etag: format!("\"{}\"", etag.trim_matches('"')),
        })
        .into();
    assert_eq!(there, expected);
    store.end_multipart(&multipart).await.unwrap();
    store
        .end_multipart(&multipart)
        .await
        .expect("it is fine if it has ended");
    let gone = store.parts_there(&multipart, 1, 9).await;
    assert!(matches!(gone, Err(BlobError::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_url_is_for_one_part_for_a_while() {
    let store = At::S3.store(None).await;
    let multipart = store.begin_multipart(UploadId::new(), WriterEpoch(1)).await.unwrap();
    let url = store.sign_part(&multipart, 2, HOUR).await.unwrap();
    for (what, url, body) in [
        (
            "another part",
            url.replace("partNumber=2", "partNumber=3"),
            vec![0; 100],
        ),
        (
            "another upload",
            url.replace(&multipart.id, &"0".repeat(multipart.id.len())),
            vec![0; 100],
        ),
    ] {
        assert_eq!(put(&store, &url, body).await.0, 403, "{what}");
    }
    let brief = Duration::from_secs(1);
    let over = store.sign_part(&multipart, 2, brief).await.unwrap();
    let mut status = 200;
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while status == 200 && tokio::time::Instant::now() < patience {
        status = put(&store, &over, vec![0; 100]).await.0;
    }
    assert_eq!(status, 403, "the URL has ended");
    assert_eq!(put(&store, &url, vec![0; 100]).await.0, 200);
    store.end_multipart(&multipart).await.unwrap();
    assert_eq!(put(&store, &url, vec![0; 100]).await.0, 404, "nothing is left to write");
}

#[tokio::test]
async fn google_takes_none() {
    let store = At::Google.store(None).await;
    assert!(!store.takes_direct_parts());
}

async fn parts_beyond_a_page_are_found(at: At) {
    let store = at.store(None).await;
    let multipart = store.begin_multipart(UploadId::new(), WriterEpoch(1)).await.unwrap();
    let key = Path::from(multipart.key.as_str());
    let multiparts = &store.inner.multiparts;
    let sent = stream::iter(0..1010).map(|index| multiparts.put_part(&key, &multipart.id, index, "x".into()));
    sent.buffer_unordered(16).try_collect::<Vec<_>>().await.unwrap();
    let there = store.parts_there(&multipart, 2, 1009).await.unwrap();
    let numbers: Vec<_> = there.iter().map(|part| part.number).collect();
    assert_eq!(numbers, (2..=1009).collect::<Vec<_>>());
    store.end_multipart(&multipart).await.unwrap();
}
