//! The few requests that `object_store` doesn't make: completing a multipart upload some of whose numbers are left out, copying a range
//! of an object as a part, and finding multipart uploads that nobody knows of, and their parts.
//!
//! They are the same XML on Amazon S3 (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>,
//! `API_ListMultipartUploads`) and on Google Cloud Storage (<https://cloud.google.com/storage/docs/xml-api/post-object-complete>);
//! they are signed differently.

use std::{error::Error, ops::Range, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use object_store::{
    aws::{AwsAuthorizer, AwsCredentialProvider},
    client::{HttpClient, HttpRequestBody},
    gcp::GcpCredentialProvider,
    path::Path,
};
use quick_xml::escape::escape;
use reelway_domain::StoredPart;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use url::Url;

/// How long a request is repeated while the server doesn't answer, or says that it can't just now.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The pause before the first repetition; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Which object a part is copied from, and which of its bytes.
static COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
static COPY_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");

/// Makes requests to one bucket.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) http: HttpClient,
    /// The URL of the bucket itself.
    pub(crate) bucket: Url,
    pub(crate) signing: Signing,
}

/// How requests are signed.
#[derive(Debug)]
pub(crate) enum Signing {
    Aws {
        credentials: AwsCredentialProvider,
        region: String,
    },
    Google(GcpCredentialProvider),
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The server has no such multipart upload (any more).
    #[error("there is no such multipart upload")]
    NoSuchUpload,
    /// The server refused.
    #[error("{status}: {body}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// The beginning of what it said.
        body: String,
    },
    /// It was not reached, or it was not understood.
    #[error(transparent)]
    Failed(#[from] Box<dyn Error + Send + Sync>),
}

/// A multipart upload that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Begun {
    #[serde(rename = "Key")]
    pub(crate) key: String,
    #[serde(rename = "UploadId")]
    pub(crate) id: String,
    /// When, as RFC 3339 has it.
    #[serde(rename = "Initiated", default)]
    pub(crate) at: String,
}

#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Begun>,
    #[serde(rename = "IsTruncated", default)]
    is_truncated: bool,
    #[serde(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[serde(rename = "NextUploadIdMarker")]
    next_id: Option<String>,
}

/// A part of a multipart upload that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Part {
    #[serde(rename = "PartNumber")]
    pub(crate) number: u32,
    #[serde(rename = "Size")]
    pub(crate) size_bytes: u64,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
}

#[derive(Debug, Deserialize)]
struct PartListing {
    #[serde(rename = "Part", default)]
    parts: Vec<Part>,
    #[serde(rename = "IsTruncated", default)]
    is_truncated: bool,
}

impl Wire {
    /// The parts with the numbers from `first` to `last` that are there, in order.
    ///
    /// # Errors
    /// [`WireError::NoSuchUpload`] if the multipart upload has ended.
    pub(crate) async fn parts(&self, key: &Path, id: &str, first: u32, last: u32) -> Result<Vec<Part>, WireError> {
        let (mut found, mut after) = (Vec::new(), first.saturating_sub(1));
        loop {
            let marker = after.to_string();
            let url = self.url(Some(key), &[("part-number-marker", &marker), ("uploadId", id)]);
            let text = self.send(Method::GET, &url, "").await?;
            let page: PartListing = quick_xml::de::from_str(&text).map_err(Box::<dyn Error + Send + Sync>::from)?;
            let end = page.parts.last().map_or(last, |part| part.number);
            found.extend(
                page.parts
                    .into_iter()
                    .filter(|part| (first..=last).contains(&part.number)),
            );
            if !page.is_truncated || end >= last || end <= after {
                return Ok(found);
            }
            after = end;
        }
    }

    /// Makes an object of these parts, in their order.
    ///
    /// # Errors
    /// [`WireError::NoSuchUpload`] also if an earlier try has succeeded whose answer was lost: look whether the object is there.
    pub(crate) async fn complete(&self, key: &Path, id: &str, parts: &[StoredPart]) -> Result<(), WireError> {
        let parts: String = parts
            .iter()
            .map(|part| {
                let etag = escape(part.etag.as_str());
                format!(
                    "<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>",
                    part.number
                )
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let url = self.url(Some(key), &[("uploadId", id)]);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        self.send_with(Method::POST, &url, headers, &body).await.map(drop)
    }

    /// Copies these bytes of an object, named with its bucket, as a part: a key, a multipart upload and a number. To do it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`WireError::Refused`] also from stores that don't copy parts.
    pub(crate) async fn copy_part(
        &self,
        (key, id, number): (&Path, &str, u32),
        (bucket, source): (&str, &Path),
        range: Range<u64>,
    ) -> Result<(), WireError> {
        let number = number.to_string();
        let url = self.url(Some(key), &[("partNumber", &number), ("uploadId", id)]);
        let last = range.end.saturating_sub(1);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (&COPY_SOURCE, escaped(bucket, source)),
            (&COPY_SOURCE_RANGE, format!("bytes={}-{last}", range.start)),
        ] {
            let value = HeaderValue::from_str(&value).map_err(Box::<dyn Error + Send + Sync>::from)?;
            headers.insert(name, value);
        }
        self.send_with(Method::PUT, &url, headers, "").await.map(drop)
    }

    /// The multipart uploads under way whose keys lie below `prefix`.
    pub(crate) async fn begun(&self, prefix: &Path) -> Result<Vec<Begun>, WireError> {
        let (below, mut found, mut after) = (format!("{prefix}/"), Vec::new(), (String::new(), String::new()));
        loop {
            let mut query = vec![("prefix", below.as_str()), ("uploads", "")];
            if !after.0.is_empty() {
                query.extend([("key-marker", after.0.as_str()), ("upload-id-marker", after.1.as_str())]);
            }
            let text = self.send(Method::GET, &self.url(None, &query), "").await?;
            let page: Listing = quick_xml::de::from_str(&text).map_err(Box::<dyn Error + Send + Sync>::from)?;
            found.extend(page.uploads);
            let next = (page.next_key.unwrap_or_default(), page.next_id.unwrap_or_default());
            // A server that gets no further would be asked for ever.
            if !page.is_truncated || next.0.is_empty() || next == after {
                return Ok(found);
            }
            after = next;
        }
    }

    fn url(&self, key: Option<&Path>, query: &[(&str, &str)]) -> Url {
        let mut url = self.bucket.clone();
        if let (Some(key), Ok(mut path)) = (key, url.path_segments_mut()) {
            path.pop_if_empty()
                .extend(key.parts().map(|part| part.as_ref().to_owned()));
        }
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    async fn send(&self, method: Method, url: &Url, body: &str) -> Result<String, WireError> {
        self.send_with(method, url, HeaderMap::new(), body).await
    }

    /// Sends a request that may be repeated, until it is answered.
    async fn send_with(&self, method: Method, url: &Url, headers: HeaderMap, body: &str) -> Result<String, WireError> {
        let (begun, mut pause) = (Instant::now(), PAUSE_MIN);
        loop {
            let mut request = Request::new(HttpRequestBody::from(body.to_owned()));
            *request.method_mut() = method.clone();
            *request.headers_mut() = headers.clone();
            let (is_over, answer) = (begun.elapsed() > RETRY_MAX, self.send_once(request, url).await);
            match answer {
                Err(WireError::Refused { status, .. }) if !is_over && is_passing(status) => {}
                Err(WireError::Failed(_)) if !is_over => {}
                answer => return answer,
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn send_once(&self, mut request: Request<HttpRequestBody>, url: &Url) -> Result<String, WireError> {
        let failed = |error: Box<dyn Error + Send + Sync>| WireError::Failed(error);
        *request.uri_mut() = url.as_str().parse().map_err(|error| failed(Box::new(error)))?;
        match &self.signing {
            Signing::Aws { credentials, region } => {
                let credential = credentials
                    .get_credential()
                    .await
                    .map_err(|error| failed(Box::new(error)))?;
                AwsAuthorizer::new(&credential, "s3", region)
                    .try_authorize(&mut request, None)
                    .map_err(|error| failed(Box::new(error)))?;
            }
            Signing::Google(credentials) => {
                let credential = credentials
                    .get_credential()
                    .await
                    .map_err(|error| failed(Box::new(error)))?;
                let value = format!("Bearer {}", credential.bearer).parse();
                let headers = request.headers_mut();
                headers.insert(header::AUTHORIZATION, value.map_err(|error| failed(Box::new(error)))?);
            }
        }
        let answer = self
            .http
            .execute(request)
            .await
            .map_err(|error| failed(Box::new(error)))?;
        let status = answer.status();
        let body = answer
            .into_body()
            .bytes()
            .await
            .map_err(|error| failed(Box::new(error)))?;
        judged(status, &String::from_utf8_lossy(&body))
    }
}

/// What an answer says. S3 begins to answer a completion before it knows the end, so 200 may be the status of an error.
fn judged(status: StatusCode, body: &str) -> Result<String, WireError> {
    let is_error = body.contains("<Error>") || !status.is_success();
    if !is_error {
        return Ok(body.to_owned());
    }
    if body.contains("NoSuchUpload") {
        return Err(WireError::NoSuchUpload);
    }
    let passing = ["InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"];
    let is_passing = passing.iter().any(|code| body.contains(code));
    Err(WireError::Refused {
        status: if is_passing {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            status
        },
        body: body.chars().take(512).collect(),
    })
}

/// Whether the same request may be answered well later.
fn is_passing(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// A bucket and a key as a header has them: each byte escaped that a URL may understand otherwise.
fn escaped(bucket: &str, key: &Path) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bytes = bucket.bytes().chain(*b"/").chain(key.as_ref().bytes());
    bytes
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_may_come_as_200() {
        let late = "<?xml version=\"1.0\"?>\n\n<Error><Code>InternalError</Code></Error>";
        let Err(WireError::Refused { status, .. }) = judged(StatusCode::OK, late) else {
            panic!("taken for a success");
        };
        assert!(is_passing(status));
        let gone = "<Error><Code>NoSuchUpload</Code></Error>";
        assert!(matches!(
            judged(StatusCode::NOT_FOUND, gone),
            Err(WireError::NoSuchUpload)
        ));
        let denied = judged(StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>");
        assert!(matches!(denied, Err(WireError::Refused { status, .. }) if !is_passing(status)));
        assert!(judged(StatusCode::OK, "<CompleteMultipartUploadResult/>").is_ok());
    }

    #[test]
    fn what_is_copied_is_named_as_urls_are() {
        let key = Path::from("a b/c+d/e-f_g.1");
        assert_eq!(escaped("my-bucket", &key), "my-bucket/a%20b/c%2Bd/e-f_g.1");
    }

    #[test]
    fn listings_are_understood() {
        let one =
            "<Upload><Key>p/uploads/upl_1/source-2</Key><UploadId>abc</UploadId><Initiated>x</Initiated></Upload>";
        for uploads in ["", one] {
            let text = format!("<ListMultipartUploadsResult><Bucket>b</Bucket>{uploads}</ListMultipartUploadsResult>");
            let listing: Listing = quick_xml::de::from_str(&text).unwrap();
            assert_eq!(listing.uploads.len(), usize::from(!uploads.is_empty()));
        }
    }
}
