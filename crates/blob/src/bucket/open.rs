//! Opening a bucket: which one, with which credentials, and whether it works.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    client::{HttpConnector as _, ReqwestConnector},
    gcp::GoogleCloudStorageBuilder,
    path::Path,
    signer::Signer as _,
};
use reelway_domain::{StoreId, WriterId};
use url::Url;

use super::{
    BucketStore, Inner, UPLOAD_MEMORY_BYTES_DEFAULT,
    budget::Budget,
    copy::Copies,
    names::Names,
    tail::TAIL_MEMORY_BYTES,
    wire::{Signing, Wire},
};
use crate::{BlobError, error::Asked as _};

/// Where Google Cloud Storage is.
const GOOGLE: &str = "https://storage.googleapis.com";
/// How long one request is repeated that the server can't answer just now: a store that is away for a minute breaks nothing.
const RETRY_MAX: Duration = Duration::from_secs(100);
const RETRIES_MAX: usize = 40;
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long it may take until a request is answered, its body included: 600 MiB, the longest part, at 5 MiB/s. And the longest pause
/// within an answer; as a whole it may take as long as whoever reads it wants.
const REQUEST_MAX: Duration = Duration::from_secs(120);
/// Room for what is read back of parts, in bytes.
const RELOAD_BYTES: u64 = 16 << 20;

/// The address of a bucket, with a prefix: `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUrl {
    kind: Kind,
    bucket: String,
    prefix: Path,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    S3,
    Google,
}

/// A text that is not the address of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the address of a bucket: s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")]
pub struct BucketUrlError(String);

/// What can be set for a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// Where a server is that speaks S3, or another way to Google Cloud Storage; `None`: the provider's own.
    pub endpoint: Option<Url>,
    /// The storage class of sources and outputs, as the provider names it. What is stored for a moment only has the bucket's own.
    pub storage_class: Option<String>,
    /// How sources and outputs are encrypted at rest.
    pub encryption: Option<Encryption>,
    /// How much of all uploads may be in memory together, in bytes; `None`: [`UPLOAD_MEMORY_BYTES_DEFAULT`].
    pub upload_memory_bytes_max: Option<u64>,
}

/// Server-side encryption on S3. Google Cloud Storage encrypts everything, with the key that the bucket names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of the store: `AES256`.
    Store,
    /// With this key of a key management service.
    Kms(String),
}

/// A text that names no encryption.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not known: it must be AES256 or kms:KEY")]
pub struct EncryptionError(String);

impl FromStr for BucketUrl {
    type Err = BucketUrlError;

    fn from_str(text: &str) -> Result<Self, BucketUrlError> {
        let refused = || BucketUrlError(text.to_owned());
        let (kind, rest) = match text.split_once("://") {
            Some(("s3", rest)) => (Kind::S3, rest),
            Some(("gs", rest)) => (Kind::Google, rest),
            _ => return Err(refused()),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_name) || prefix.starts_with('/') {
            return Err(refused());
        }
        Ok(Self {
            kind,
            bucket: bucket.to_owned(),
            prefix: Path::parse(prefix.trim_end_matches('/')).map_err(|_| refused())?,
        })
    }
}

impl BucketUrl {
    /// Whether it is in Google Cloud Storage.
    #[must_use]
    pub fn is_google(&self) -> bool {
        self.kind == Kind::Google
    }
}

impl FromStr for Encryption {
    type Err = EncryptionError;

    fn from_str(text: &str) -> Result<Self, EncryptionError> {
        match text.strip_prefix("kms:") {
            None if text == "AES256" => Ok(Self::Store),
            // It becomes a header.
            Some(key) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self::Kms(key.to_owned()))
            }
            _ => Err(EncryptionError(text.to_owned())),
        }
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::S3 => "s3",
            Kind::Google => "gs",
        };
        write!(f, "{scheme}://{}/{}", self.bucket, self.prefix)
    }
}

impl BucketStore {
    /// Opens a bucket, with the credentials that the provider's own tools would find: in the environment, in files, or from the
    /// machine's or the pod's identity.
    ///
    /// # Errors
    /// [`BlobError::Remote`] if the settings can't work, or the bucket can't be read and written.
    pub async fn open(url: &BucketUrl, settings: &BucketSettings) -> Result<Self, BlobError> {
        Self::open_as(url, settings, GoogleCloudStorageBuilder::from_env()).await
    }

    /// The same, on Google Cloud Storage as whom this says.
    pub(crate) async fn open_as(
        url: &BucketUrl,
        settings: &BucketSettings,
        google_account: GoogleCloudStorageBuilder,
    ) -> Result<Self, BlobError> {
        let names = Names::new(url.prefix.clone());
        let memory = settings.upload_memory_bytes_max.unwrap_or(UPLOAD_MEMORY_BYTES_DEFAULT);
        let parts = match url.kind {
            Kind::S3 => s3(url, settings).await,
            Kind::Google => google(url, settings, google_account),
        };
        let Parts {
            objects,
            multiparts,
            signer,
            wire,
        } = parts.asked("open", &names.identity())?;
        let identity = identity(&*objects, &names).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                objects,
                multiparts,
                signer,
                copies: Copies::of(&url.bucket, &wire),
                wire,
                names,
                storage_class: settings.storage_class.clone(),
                budget: Budget::new(memory),
                reloads: Budget::new(RELOAD_BYTES),
                tails: Budget::new(TAIL_MEMORY_BYTES),
                identity,
                writer: WriterId::new(),
            }),
        })
    }
}

/// What a provider's client is used for.
struct Parts {
    objects: Arc<dyn object_store::ObjectStore>,
    multiparts: Arc<dyn super::Multiparts>,
    signer: Arc<dyn object_store::signer::Signer>,
    wire: Wire,
}

async fn s3(url: &BucketUrl, settings: &BucketSettings) -> object_store::Result<Parts> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&url.bucket)
        .with_retry(retries())
        .with_client_options(client_options(settings));
    if let Some(endpoint) = &settings.endpoint {
        builder = builder
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_allow_http(endpoint.scheme() == "http");
    }
    match &settings.encryption {
        None => {}
        Some(Encryption::Store) => builder = builder.with_config("aws_server_side_encryption".parse()?, "AES256"),
        Some(Encryption::Kms(key)) => builder = builder.with_sse_kms_encryption(key),
    }
    let region = builder
        .get_config_value(&AmazonS3ConfigKey::Region)
        .unwrap_or_else(|| "us-east-1".to_owned());
    let store = Arc::new(builder.build()?);
    let credentials = Arc::clone(store.credentials());
    // The signature is only asked for its address, which is the same for everything in the bucket.
    let key = url.prefix.clone().join("x");
    let mut bucket = store
        .signed_url(http::Method::GET, &key, Duration::from_secs(1))
        .await?;
    bucket.set_query(None);
    let path = bucket.path().trim_end_matches(key.as_ref()).to_owned();
    bucket.set_path(&path);
    Ok(Parts {
        objects: store.clone(),
        multiparts: store.clone(),
        signer: store,
        wire: Wire {
            http: ReqwestConnector::default().connect(&client_options(settings))?,
            bucket,
            signing: Signing::Aws { credentials, region },
        },
    })
}

fn google(
    url: &BucketUrl,
    settings: &BucketSettings,
    account: GoogleCloudStorageBuilder,
) -> object_store::Result<Parts> {
    let base = match &settings.endpoint {
        Some(endpoint) => endpoint.as_str().trim_end_matches('/'),
        None => GOOGLE,
    };
    let store = account
        .with_bucket_name(&url.bucket)
        .with_base_url(base)
        .with_retry(retries())
        .with_client_options(client_options(settings))
        .build();
    let store = Arc::new(store?);
    let bucket = Url::parse(&format!("{base}/{}", url.bucket)).map_err(|error| generic(error.into()))?;
    Ok(Parts {
        objects: store.clone(),
        multiparts: store.clone(),
        signer: store.clone(),
        wire: Wire {
            http: ReqwestConnector::default().connect(&client_options(settings))?,
            bucket,
            signing: Signing::Google(Arc::clone(store.credentials())),
        },
    })
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic {
        store: "bucket",
        source,
    }
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: PAUSE_MAX,
            ..BackoffConfig::default()
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_MAX,
    }
}

/// Set before `with_allow_http`, whose settings these would replace.
fn client_options(settings: &BucketSettings) -> ClientOptions {
    let is_plain = settings
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.scheme() == "http");
    ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT_MAX)
        .with_timeout_disabled()
        .with_read_timeout(REQUEST_MAX)
}

/// The id of the store. The first process that asks makes it; all get the same, also if several are first.
async fn identity(objects: &dyn object_store::ObjectStore, names: &Names) -> Result<StoreId, BlobError> {
    let key = names.identity();
    let first = match read_identity(objects, &key).await {
        Err(BlobError::NotFound { .. }) => StoreId::new(),
        found => return found,
    };
    let create = PutOptions::from(PutMode::Create);
    let text = PutPayload::from(format!("{first}\n"));
    match objects.put_opts(&key, text, create).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
        refused => drop(refused.asked("make", &key)?),
    }
    read_identity(objects, &key).await
}

async fn read_identity(objects: &dyn object_store::ObjectStore, key: &Path) -> Result<StoreId, BlobError> {
    let object = objects.get(key).await.asked("read", key)?;
    let bytes = object.bytes().await.asked("read", key)?;
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map_err(|error| BlobError::Remote {
        operation: "understand the store's id in",
        key: key.to_string(),
        source: Box::new(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_by_the_store_or_by_a_key() {
        assert_eq!("AES256".parse(), Ok(Encryption::Store));
        let key = "arn:aws:kms:eu-west-1:1:key/a-b";
        assert_eq!(format!("kms:{key}").parse(), Ok(Encryption::Kms(key.to_owned())));
        for text in ["", "aes256", "kms:", "kms:a b", "none"] {
            assert!(text.parse::<Encryption>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_are_understood_or_refused() {
        for (text, shown) in [
            ("s3://videos", "s3://videos/"),
            ("s3://videos/a/b/", "s3://videos/a/b"),
            ("gs://my_bucket/x", "gs://my_bucket/x"),
        ] {
            assert_eq!(text.parse::<BucketUrl>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "s3://",
            "s3:///x",
            "az://x",
            "s3://a b",
            "s3://a//b",
            "file:///x",
            "s3://u:p@host",
        ] {
            assert!(text.parse::<BucketUrl>().is_err(), "{text:?}");
        }
    }
}
