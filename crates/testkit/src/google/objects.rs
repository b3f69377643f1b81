//! Objects: stored, read, looked at and removed.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderName},
    http::{request::Parts, response::Builder},
};

use super::{
    Answer, Service,
    behind::Asked,
    lock,
    memory::{CLASS, Written},
    query::Query,
    refusal::Refusal,
    whole,
};

/// What an object says of itself, and its readers hear again.
const KEPT: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
];
/// What readers ask for, besides the object.
const ASKED: [HeaderName; 5] = [
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];
/// What they hear of the object besides what it says of itself.
const TOLD: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
];
/// The storage classes (<https://cloud.google.com/storage/docs/storage-classes>).
const CLASSES: [&str; 4] = [CLASS, "NEARLINE", "COLDLINE", "ARCHIVE"];

impl Service {
    /// <https://cloud.google.com/storage/docs/xml-api/put-object-upload>
    pub(super) async fn put(&self, key: String, head: &Parts, body: Bytes) -> Result<Answer, Refusal> {
        let class = class(&head.headers)?;
        lock(&self.memory).may_write(&key)?;
        let mut asked = Asked::new(Method::PUT, &key, &[]);
        asked.headers = of(&head.headers, &KEPT);
        match generation_match(&head.headers)? {
            None => {}
            // The S3 server decides, so that of two who are first only one is.
            Some(0) => drop(
                asked
                    .headers
                    .insert(header::IF_NONE_MATCH, header::HeaderValue::from_static("*")),
            ),
            Some(generation) => {
                let there = self.is_there(&key).await?;
                if !there || lock(&self.memory).of(&key).generation != generation {
                    return Err(Refusal::precondition());
                }
            }
        }
        let crc32c = crc32c::crc32c(&body);
        asked.body = body;
        let stored = self.behind.asked(asked).await?;
        let etag = stored.headers().get(header::ETAG).cloned();
        match (stored.status(), etag) {
            (StatusCode::PRECONDITION_FAILED, _) => Err(Refusal::precondition()),
            (StatusCode::OK, Some(etag)) => {
                let written = lock(&self.memory).wrote(&key, Some(crc32c), class);
                Ok(whole(
                    told(Response::builder(), &written).header(header::ETAG, etag),
                    "",
                ))
            }
            (status, _) => Err(Refusal::behind(status)),
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-download>, and the same without the bytes.
    pub(super) async fn read(&self, key: &str, head: &Parts, query: &Query) -> Result<Answer, Refusal> {
        let pairs: Vec<_> = query.asked().collect();
        let mut asked = Asked::new(head.method.clone(), key, &pairs);
        asked.headers = of(&head.headers, &ASKED);
        let (found, body) = self.behind.asked(asked).await?.into_parts();
        match found.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => {}
            StatusCode::NOT_FOUND => return Err(Refusal::no_such_key()),
            StatusCode::PRECONDITION_FAILED => return Err(Refusal::precondition()),
            status @ StatusCode::RANGE_NOT_SATISFIABLE => {
                let message = "The requested range cannot be satisfied.";
                return Err(Refusal::new(status, "InvalidRange", message));
            }
            status => return Err(Refusal::behind(status)),
        }
        let written = lock(&self.memory).of(key);
        let mut answer = told(Response::builder().status(found.status), &written);
        for headers in [of(&found.headers, &KEPT), of(&found.headers, &TOLD)] {
            for (name, value) in &headers {
                answer = answer.header(name, value);
            }
        }
        let body = match head.method {
            Method::HEAD => Empty::new().map_err(|never| match never {}).boxed_unsync(),
            _ => body.map_err(io::Error::other).boxed_unsync(),
        };
        answer.body(body).map_err(Refusal::behind)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/delete-object>
    pub(super) async fn delete(&self, key: &str) -> Result<Answer, Refusal> {
        if !self.is_there(key).await? {
            return Err(Refusal::no_such_key());
        }
        let removed = self.behind.asked(Asked::new(Method::DELETE, key, &[])).await?;
        lock(&self.memory).removed(key);
        match removed.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => {
                Ok(whole(Response::builder().status(StatusCode::NO_CONTENT), ""))
            }
            status => Err(Refusal::behind(status)),
        }
    }

    async fn is_there(&self, key: &str) -> Result<bool, Refusal> {
        let found = self.behind.asked(Asked::new(Method::HEAD, key, &[])).await?;
        match found.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(Refusal::behind(status)),
        }
    }
}

/// These headers, as far as they are there.
pub(super) fn of(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let there = names
        .iter()
        .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    there.collect()
}

/// What a request says that begins an object of the headers that go with it.
pub(super) fn kept(headers: &HeaderMap) -> HeaderMap {
    of(headers, &KEPT)
}

/// The storage class that is asked for.
pub(super) fn class(headers: &HeaderMap) -> Result<String, Refusal> {
    let asked = headers
        .get("x-goog-storage-class")
        .map_or(Ok(CLASS), header::HeaderValue::to_str);
    let known = asked.ok().filter(|asked| CLASSES.contains(asked));
    let message = "The storage class you specified is not valid.";
    known
        .map(str::to_owned)
        .ok_or_else(|| Refusal::foreign("InvalidStorageClass", message))
}

/// An answer that tells what Google tells of an object
/// (<https://cloud.google.com/storage/docs/xml-api/reference-headers>).
pub(super) fn told(answer: Builder, written: &Written) -> Builder {
    let answer = answer
        .header("x-goog-generation", written.generation)
        .header("x-goog-metageneration", 1)
        .header("x-goog-storage-class", &written.class);
    match written.crc32c {
        Some(crc32c) => answer.header("x-goog-hash", hash(crc32c)),
        None => answer,
    }
}

/// A checksum as Google tells it: in Base64, the highest byte first.
pub(super) fn hash(crc32c: u32) -> String {
    format!("crc32c={}", STANDARD.encode(crc32c.to_be_bytes()))
}

/// Which generation the object must have; 0: there must be none.
fn generation_match(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(asked) = headers.get("x-goog-if-generation-match") else {
        return Ok(None);
    };
    let generation = asked.to_str().ok().and_then(|asked| asked.parse().ok());
    let message = "A generation is a number.";
    generation
        .map(Some)
        .ok_or_else(|| Refusal::foreign("InvalidArgument", message))
}
