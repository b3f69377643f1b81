//! What is in the bucket of a real server, and what that server gives to players itself.

use std::net::SocketAddr;

use reelway_blob::{BucketOutput, BucketSettings, BucketStore};
use reelway_domain::UploadId;

use super::*;
use crate::testing::wire::{Answer, Wire};

const SEGMENT: &[u8] = b"0123456789";

/// A job's outputs in a bucket, with one segment.
struct Bucket {
    output: BucketOutput,
    key: OutputKey,
    server: SocketAddr,
    /// The path of the store in the address of the server.
    path: String,
}

impl Bucket {
    async fn new() -> Self {
        let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
        let (endpoint, url) = (of("REELWAY_TEST_S3_ENDPOINT"), of("REELWAY_TEST_S3"));
        let url = format!("{url}/{}", UploadId::new());
        let settings = BucketSettings {
            endpoint: Some(endpoint.parse().unwrap()),
            ..BucketSettings::default()
        };
        let store = BucketStore::open(&url.parse().unwrap(), &settings).await.unwrap();
        let (output, key) = (
            store.output(JobId::new()),
            "video-0000-e1/a.m4s".parse::<OutputKey>().unwrap(),
        );
        output.write(&key, Bytes::from_static(SEGMENT)).await.unwrap();
        Self {
            output,
            key,
            server: endpoint.trim_start_matches("http://").parse().unwrap(),
            path: url.trim_start_matches("s3:/").to_owned(),
        }
    }

    async fn segment(&self, method: Method, headers: &[(&str, &str)]) -> (StatusCode, http::HeaderMap, Bytes) {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let reader = self.output.reader(&self.key);
        parts(object::answer(&reader, request).await.unwrap()).await
    }

    /// What the server itself answers to whoever was sent to this URL.
    async fn followed(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let url = url::Url::parse(url).unwrap();
        let path = url[url::Position::BeforePath..].to_owned();
        let mut wire = Wire::connect(self.server).await;
        wire.request(method, &path, headers, b"").await;
        wire.answer(method).await
    }
}

#[tokio::test]
async fn segments_come_whole_or_in_ranges() {
    let bucket = Bucket::new().await;
    let (status, head, body) = bucket.segment(Method::GET, &[]).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, SEGMENT));
    assert_eq!(head[header::CONTENT_LENGTH], "10");
    let tag = head[header::ETAG].to_str().unwrap().to_owned();
    for (method, range, status, told, body) in [
        (Method::GET, "bytes=2-4", 206, "bytes 2-4/10", "234"),
        (Method::GET, "bytes=8-99", 206, "bytes 8-9/10", "89"),
        (Method::GET, "bytes=7-", 206, "bytes 7-9/10", "789"),
        (Method::GET, "bytes=-3", 206, "bytes 7-9/10", "789"),
        (Method::GET, "bytes=-99", 206, "bytes 0-9/10", "0123456789"),
        (Method::GET, "bytes=10-", 416, "bytes */10", ""),
        (Method::GET, "bytes=-0", 416, "bytes */10", ""),
        (Method::HEAD, "bytes=2-4", 206, "bytes 2-4/10", ""),
        (Method::HEAD, "bytes=10-", 416, "bytes */10", ""),
    ] {
        let (found, head, read) = bucket.segment(method, &[("range", range), ("if-range", &tag)]).await;
        let said = head[header::CONTENT_RANGE].to_str().unwrap();
        assert_eq!(
            (found.as_u16(), said, &read[..]),
            (status, told, body.as_bytes()),
            "{range}"
        );
    }
    let changed = [("range", "bytes=2-4"), ("if-range", "\"other\"")];
    assert_eq!(bucket.segment(Method::GET, &changed).await.2, SEGMENT);
    let known = bucket.segment(Method::GET, &[("if-none-match", &tag)]).await;
    assert_eq!((known.0, known.2.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn what_was_never_made_is_not_found() {
    let bucket = Bucket::new().await;
    let missing = bucket.output.reader(&"video-0000-e1/b.m4s".parse().unwrap());
    for method in [Method::GET, Method::HEAD] {
        let request = Request::builder().method(method).body(Body::empty()).unwrap();
        let refused = object::answer(&missing, request).await.unwrap_err();
        assert_eq!(refused.reason, Reason::JobNotFound);
    }
}

#[tokio::test]
async fn a_signed_redirect_opens_one_object_for_one_method() {
    let bucket = Bucket::new().await;
    let redirect = async |method, kept_as| {
        let redirected = Delivery::Presigned.redirect(&bucket.output, &bucket.key, method, kept_as);
        let response = redirected.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        response.headers()[header::LOCATION].to_str().unwrap().to_owned()
    };
    let url = redirect(&Method::GET, None).await;
    let got = bucket.followed("GET", &url, &[]).await;
    assert_eq!((got.status, &got.body[..]), (200, SEGMENT));
    assert_eq!(got.header("content-type"), Some("video/iso.segment"));
    let some = bucket.followed("GET", &url, &[("Range", "bytes=2-4")]).await;
    assert_eq!((some.status, &some.body[..]), (206, &b"234"[..]));
    let other = url.replace("a.m4s", "b.m4s");
    assert_eq!(bucket.followed("GET", &other, &[]).await.status, 403);
    assert_eq!(bucket.followed("DELETE", &url, &[]).await.status, 403);

    let url = redirect(&Method::HEAD, None).await;
    assert_eq!(bucket.followed("HEAD", &url, &[]).await.status, 200);
    let url = redirect(&Method::GET, Some("attachment; filename=\"a.mp4\"")).await;
    let got = bucket.followed("GET", &url, &[]).await;
    assert_eq!(
        got.header("content-disposition"),
        Some("attachment; filename=\"a.mp4\"")
    );
}

#[tokio::test]
async fn a_public_address_is_that_of_the_object() {
    let bucket = Bucket::new().await;
    let base = format!("http://{}{}/", bucket.server, bucket.path);
    let public = Delivery::Public(base.parse().unwrap());
    let redirected = public.redirect(&bucket.output, &bucket.key, &Method::GET, None).await;
    let response = redirected.unwrap().unwrap();
    let url = response.headers()[header::LOCATION].to_str().unwrap();
    // Signed for this very object, to see that it is there: this bucket is not public.
    let reader = bucket.output.reader(&bucket.key);
    let signed = reader.signed_url(Method::GET, std::time::Duration::from_secs(60), None);
    let signed = signed.await.unwrap();
    assert_eq!(signed.split_once('?').unwrap().0, url);

    let playlist = format!("c/{}\n", bucket.key).into();
    let named = public.named(&bucket.output, playlist);
    assert_eq!(named, format!("{url}\n"));
}

#[tokio::test]
async fn players_are_sent_to_buckets_only() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("catalog.db").display());
    let catalog = Catalog::open(&url).await.unwrap();
    let open = || reelway_blob::DiskStore::open(dir.path().join("blobs"), reelway_blob::Sharing::Shared).unwrap();
    let router = |delivery| play_router(catalog.clone(), open(), PlayAccess::Public, delivery).map(drop);
    assert_eq!(router(Delivery::Proxied), Ok(()));
    let base = "https://cdn.example".parse().unwrap();
    for delivery in [Delivery::Presigned, Delivery::Public(base)] {
        assert_eq!(router(delivery), Err(NotInBucket));
    }
}
