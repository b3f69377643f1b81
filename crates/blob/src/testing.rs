//! Buckets that tests run on: on the S3 server that `scripts/test` starts, directly and as Google Cloud Storage would be.

use std::{env, fmt, ops::Deref, thread};

use object_store::gcp::GoogleCloudStorageBuilder;
use reelway_domain::UploadId;
use reelway_testkit::GoogleStorage;

use crate::{BucketSettings, BucketStore, BucketUrl};

/// Makes a test for each provider of each function that takes one.
macro_rules! on_each {
    ($($test:ident),+ $(,)?) => {
        mod s3 {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::testing::At::S3).await;
            })+
        }
        mod google {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::testing::At::Google).await;
            })+
        }
    };
}
pub(crate) use on_each;

/// Whose way of talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    S3,
    Google,
}

/// A part of a bucket that nobody else uses.
pub(crate) struct TestBucket {
    url: BucketUrl,
    endpoint: String,
    /// What speaks as Google does, as long as this is here.
    google: Option<GoogleStorage>,
}

/// A store, and what it needs to live.
pub(crate) struct TestStore {
    store: BucketStore,
    _bucket: TestBucket,
}

impl At {
    pub(crate) fn bucket(self) -> TestBucket {
        let of = |name: &str| env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
        let google = (self == Self::Google).then(GoogleStorage::start);
        let name = UploadId::new();
        let (url, endpoint) = match &google {
            Some(google) => (google.store(&name.to_string()), google.url()),
            None => (
                format!("{}/{name}", of("REELWAY_TEST_S3")),
                of("REELWAY_TEST_S3_ENDPOINT"),
            ),
        };
        TestBucket {
            url: url.parse().expect("the address of a bucket"),
            endpoint,
            google,
        }
    }

    /// An empty store.
    pub(crate) async fn store(self, memory_bytes_max: Option<u64>) -> TestStore {
        let bucket = self.bucket();
        let settings = BucketSettings {
            upload_memory_bytes_max: memory_bytes_max,
            ..settings(&bucket.endpoint)
        };
        TestStore {
            store: bucket.open_with(&settings).await,
            _bucket: bucket,
        }
    }
}

fn settings(endpoint: &str) -> BucketSettings {
    BucketSettings {
        endpoint: Some(endpoint.parse().expect("a URL")),
        ..BucketSettings::default()
    }
}

impl TestBucket {
    /// Where the server is.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The store, as one more process opens it.
    pub(crate) async fn open(&self) -> BucketStore {
        self.open_by(&self.endpoint).await
    }

    /// The same, by way of this address.
    pub(crate) async fn open_by(&self, endpoint: &str) -> BucketStore {
        self.open_with(&settings(endpoint)).await
    }

    async fn open_with(&self, settings: &BucketSettings) -> BucketStore {
        let key = self.google.as_ref().map(GoogleStorage::key_file);
        let account = key.map(|key| GoogleCloudStorageBuilder::new().with_service_account_path(key.to_string_lossy()));
        let opened = BucketStore::open_as(&self.url, settings, account.unwrap_or_default()).await;
        opened.expect("the bucket")
    }
}

/// Whatever a test does: nothing is asked of Google that its API doesn't have, also if nobody minds that it is refused.
impl Drop for TestBucket {
    fn drop(&mut self) {
        if let Some(google) = &self.google
            && !thread::panicking()
        {
            assert_eq!(google.take_refused(), [] as [String; 0]);
        }
    }
}

impl fmt::Debug for TestBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Deref for TestStore {
    type Target = BucketStore;

    fn deref(&self) -> &BucketStore {
        &self.store
    }
}
