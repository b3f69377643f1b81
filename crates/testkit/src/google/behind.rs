//! The S3 server that keeps the bytes.

use std::{env, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use hyper::{HeaderMap, Method, Request};
use object_store::{
    ClientOptions, ObjectMeta, ObjectStore as _,
    aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer},
    client::{HttpClient, HttpConnector as _, HttpRequestBody, HttpResponse, ReqwestConnector},
    path::Path,
};

use super::{query::escaped, refusal::Refusal};

/// How long it may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Makes requests to one bucket of the server, with the credentials in the environment.
#[derive(Debug)]
pub(super) struct Behind {
    http: HttpClient,
    /// The bucket's URL.
    bucket: String,
    region: String,
    /// For its credentials, and for listings.
    store: AmazonS3,
}

/// A request to it.
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    pub(super) key: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl<'a> Asked<'a> {
    pub(super) fn new(method: Method, key: &'a str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method,
            key,
            query,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Behind {
    pub(super) fn at(endpoint: &str, bucket: &str) -> Self {
        let region = env::var("AWS_REGION").expect("scripts/test sets AWS_REGION");
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_endpoint(endpoint)
            .with_allow_http(true);
        let options = ClientOptions::new().with_allow_http(true).with_timeout(ANSWER_MAX);
        Self {
            http: ReqwestConnector::default().connect(&options).expect("a client"),
            bucket: format!("{endpoint}/{bucket}"),
            region,
            store: store.build().expect("a store"),
        }
    }

    /// What it answers, whatever that is.
    ///
    /// # Errors
    /// If it doesn't.
    pub(super) async fn asked(&self, asked: Asked<'_>) -> Result<HttpResponse, Refusal> {
        let key: Vec<_> = asked.key.split('/').map(escaped).collect();
        let pairs = asked.query.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        let url = format!("{}/{}{mark}{}", self.bucket, key.join("/"), pairs.join("&"));
        let mut request = Request::new(HttpRequestBody::from(asked.body));
        *request.method_mut() = asked.method;
        *request.uri_mut() = url.parse().map_err(Refusal::behind)?;
        *request.headers_mut() = asked.headers;
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(Refusal::behind)?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(Refusal::behind)?;
        self.http.execute(request).await.map_err(Refusal::behind)
    }

    /// All objects whose keys begin so, in the order of their keys.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Refusal> {
        // The server is asked for a directory; what begins otherwise is left out here.
        let below = prefix.rsplit_once('/').map_or("", |(directory, _)| directory);
        let found = self.store.list(Some(&Path::from(below)));
        let mut found: Vec<ObjectMeta> = found.try_collect().await.map_err(Refusal::behind)?;
        found.retain(|object| object.location.as_ref().starts_with(prefix));
        found.sort_by(|one, two| one.location.as_ref().cmp(two.location.as_ref()));
        Ok(found)
    }
}
