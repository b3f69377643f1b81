//! Bytes in the bucket of a real S3 server, behind a proxy that breaks what networks and servers break; and in the same bucket as Google
//! Cloud Storage would have it.

mod calls;
mod direct;
mod direct_page;
mod expired;
mod faults;
mod google;
mod headers;
mod joined;
mod killed;
mod memory;
mod playing;
mod sources;
mod tiers;
mod windows;

use std::{net::SocketAddr, thread, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use reelway::v1;
use reelway_blob::{BucketSettings, BucketStore, Held, Owner, What};
use reelway_domain::{Offset, UploadId};
use reelway_testkit::{GoogleStorage, S3Proxy};

use crate::harness::{Setup, within};

/// What is not needed any more is gone by then.
const REMOVED_MAX: Duration = Duration::from_secs(30);

/// A bucket, or what is below one prefix in it, and the way there.
pub(crate) struct Bucket {
    pub(crate) proxy: S3Proxy,
    url: String,
    endpoint: String,
    /// What speaks as Google does between the proxy and the server, and the address that the store has there.
    google: Option<(GoogleStorage, String)>,
}

impl Bucket {
    /// One in which nothing is yet, on the server that `scripts/test` starts.
    pub(crate) async fn new() -> Self {
        Self::below("").await
    }

    /// One that everybody may read who knows the names in it.
    pub(crate) async fn for_everybody() -> Self {
        Self::below("/everybody").await
    }

    async fn below(place: &str) -> Self {
        let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
        let (url, endpoint) = (of("REELWAY_TEST_S3"), of("REELWAY_TEST_S3_ENDPOINT"));
        let server: SocketAddr = endpoint
            .trim_start_matches("http://")
            .parse()
            .expect("http://ADDRESS:PORT");
        Self {
            proxy: S3Proxy::before(server).await,
            url: format!("{url}{place}/{}", UploadId::new()),
            endpoint,
            google: None,
        }
    }

    /// One that servers find in Google Cloud Storage.
    pub(crate) async fn on_google() -> Self {
        let (google, mut bucket) = (GoogleStorage::start(), Self::new().await);
        let (_, name) = bucket.url.rsplit_once('/').expect("it has a name");
        let store = google.store(name);
        bucket.proxy = S3Proxy::before(google.address()).await;
        bucket.google = Some((google, store));
        bucket
    }

    /// What speaks as Google does.
    fn google(&self) -> &GoogleStorage {
        &self.google.as_ref().expect("it is one on Google").0
    }

    /// A server that has its bytes here, by way of the proxy.
    pub(crate) fn setup(&self) -> Setup {
        let setup = Setup::default().option("--store-endpoint", self.proxy.url());
        match &self.google {
            None => setup.option("--store", &self.url),
            Some((google, store)) => setup
                .option("--store", store)
                .env("GOOGLE_SERVICE_ACCOUNT", google.key_file().to_string_lossy()),
        }
    }

    /// Where it is in the eyes of whoever has no key.
    pub(crate) fn public_url(&self) -> String {
        let path = self.url.trim_start_matches("s3:/");
        format!("{}{path}", self.endpoint)
    }

    /// The store as it is, without the proxy, and as the S3 server has it.
    async fn store(&self) -> BucketStore {
        let settings = BucketSettings {
            endpoint: Some(self.endpoint.parse().expect("a URL")),
            ..BucketSettings::default()
        };
        let url = self.url.parse().expect("the address of a bucket");
        BucketStore::open(&url, &settings).await.expect("the bucket")
    }

    /// What the bucket holds of an upload: objects, and multipart uploads that have not ended.
    pub(crate) async fn held(&self, upload: &str) -> Vec<Held> {
        let (store, id) = (self.store().await, upload.parse().expect("an id"));
        let all: Vec<Held> = store.held().try_collect().await.expect("a listing");
        all.into_iter().filter(|held| held.owner == Owner::Upload(id)).collect()
    }

    /// Checks that the bucket has these bytes of a complete upload, and after a moment nothing else of it.
    pub(crate) async fn has_exactly(&self, upload: &v1::Upload, content: &Bytes) {
        assert_eq!(upload.state(), v1::UploadState::Complete);
        let held = within(REMOVED_MAX, "one object is left", async || {
            let held = self.held(&upload.id).await;
            let [only] = held.as_slice() else { return None };
            Some(only.clone())
        })
        .await;
        assert_eq!(held.what, What::Object(content.len() as u64));
        let reader = self.store().await.reader(&held.key);
        let read = reader.read_at(Offset::ZERO, content.len()).await;
        assert!(read.expect("the bytes") == *content, "the bucket has other bytes");
    }
}

/// Whatever a server does: nothing is asked of Google that its API doesn't have, also if nobody minds that it is refused.
impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some((google, _)) = &self.google
            && !thread::panicking()
        {
            assert_eq!(google.take_refused(), [] as [String; 0]);
        }
    }
}
