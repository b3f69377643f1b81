//! Multipart uploads: <https://cloud.google.com/storage/docs/multipart-uploads>. The S3 server keeps the parts; which of them there
//! are, and which ETags they have, is known here, for it forgives what Google doesn't.

use std::{collections::BTreeMap, time::SystemTime};

use bytes::Bytes;
use hyper::{Method, Response, StatusCode, header, http::request::Parts};
use object_store::client::HttpResponse;
use quick_xml::escape::escape;
use serde::Deserialize;

use super::{
    Answer, Service,
    behind::Asked,
    call::{MultipartName, Multiparts, PartName},
    listing::{NAMES_MAX, xml},
    lock,
    memory::{Multipart, Part},
    objects::{class, hash, kept, told},
    refusal::Refusal,
    whole,
};

/// The shortest part but the last one, in bytes (<https://cloud.google.com/storage/quotas#requests>).
const PART_BYTES_MIN: u64 = 5 << 20;

#[derive(Debug, Deserialize)]
struct Begun {
    #[serde(rename = "UploadId")]
    id: String,
}

/// What a completion names.
#[derive(Debug, Deserialize)]
struct Named {
    #[serde(rename = "Part", default)]
    parts: Vec<NamedPart>,
}

#[derive(Debug, Deserialize)]
struct NamedPart {
    #[serde(rename = "PartNumber")]
    number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

impl Service {
    /// <https://cloud.google.com/storage/docs/xml-api/post-object-multipart>
    pub(super) async fn begin(&self, key: String, head: &Parts) -> Result<Answer, Refusal> {
        let class = class(&head.headers)?;
        let mut asked = Asked::new(Method::POST, &key, &[("uploads", "")]);
        asked.headers = kept(&head.headers);
        let begun = succeeded(self.behind.asked(asked).await?).await?;
        let begun: Begun = quick_xml::de::from_str(&begun).map_err(Refusal::behind)?;
        let name = MultipartName {
            key,
            id: format!("ABPn{:032x}", rand::random::<u128>()),
        };
        let answer = format!(
            "<InitiateMultipartUploadResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>{}</Bucket><Key>{}</Key>\
             <UploadId>{}</UploadId></InitiateMultipartUploadResult>",
            self.bucket,
            escape(name.key.as_str()),
            name.id
        );
        let multipart = Multipart {
            behind: begun.id,
            class,
            begun: SystemTime::now(),
            parts: BTreeMap::new(),
        };
        lock(&self.memory).multiparts.insert(name, multipart);
        Ok(xml(&answer))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/put-object-multipart>
    pub(super) async fn put_part(&self, part: PartName, body: Bytes) -> Result<Answer, Refusal> {
        let PartName { multipart, number } = part;
        let behind = lock(&self.memory).multipart(&multipart)?.behind.clone();
        let (size_bytes, crc32c) = (body.len() as u64, crc32c::crc32c(&body));
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", behind.as_str())];
        let mut asked = Asked::new(Method::PUT, &multipart.key, &query);
        asked.body = body;
        let stored = self.behind.asked(asked).await?;
        let etag = stored.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let Some(etag) = etag.filter(|_| stored.status() == StatusCode::OK) else {
            return Err(Refusal::behind(stored.status()));
        };
        let stored = Part {
            etag: etag.to_owned(),
            size_bytes,
            crc32c,
            sent: SystemTime::now(),
        };
        let answer = Response::builder()
            .header(header::ETAG, etag)
            .header("x-goog-hash", hash(crc32c));
        // It may have ended meanwhile; then nobody has the part.
        lock(&self.memory).multipart(&multipart)?.parts.insert(number, stored);
        Ok(whole(answer, ""))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-multipart>
    pub(super) fn list_parts(&self, name: &MultipartName, after: u32) -> Result<Answer, Refusal> {
        let parts = lock(&self.memory).multipart(name)?.parts.clone();
        let mut behind = parts.range(after + 1..);
        let page: Vec<_> = behind.by_ref().take(NAMES_MAX).collect();
        let parts: String = page
            .iter()
            .map(|(number, part)| {
                format!(
                    "<Part><PartNumber>{number}</PartNumber><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Part>",
                    humantime::format_rfc3339_millis(part.sent),
                    escape(part.etag.as_str()),
                    part.size_bytes
                )
            })
            .collect();
        let last = page.last().map_or(after, |(number, _)| **number);
        Ok(xml(&format!(
            "<ListPartsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>{}</Bucket><Key>{}</Key><UploadId>{}</UploadId>\
             <StorageClass>STANDARD</StorageClass><PartNumberMarker>{after}</PartNumberMarker>\
             <NextPartNumberMarker>{last}</NextPartNumberMarker><MaxParts>{NAMES_MAX}</MaxParts><IsTruncated>{}</IsTruncated>{parts}\
             </ListPartsResult>",
            self.bucket,
            escape(name.key.as_str()),
            name.id,
            behind.next().is_some()
        )))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads>
    pub(super) fn list_multiparts(&self, asked: &Multiparts) -> Answer {
        let memory = lock(&self.memory);
        let mut found = memory.multiparts.iter().filter(|(name, _)| {
            let is_behind = match asked.id_after.as_str() {
                "" => name.key > asked.key_after,
                id => (name.key.as_str(), name.id.as_str()) > (asked.key_after.as_str(), id),
            };
            name.key.starts_with(&asked.prefix) && is_behind
        });
        let page: Vec<_> = found.by_ref().take(NAMES_MAX).collect();
        let uploads: String = page
            .iter()
            .map(|(name, multipart)| {
                format!(
                    "<Upload><Key>{}</Key><UploadId>{}</UploadId><StorageClass>{}</StorageClass><Initiated>{}</Initiated></Upload>",
                    escape(name.key.as_str()),
                    name.id,
                    multipart.class,
                    humantime::format_rfc3339_millis(multipart.begun)
                )
            })
            .collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|(name, _)| {
            let key = escape(name.key.as_str());
            format!(
                "<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{}</NextUploadIdMarker>",
                name.id
            )
        });
        xml(&format!(
            "<ListMultipartUploadsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>{}</Bucket>\
             <MaxUploads>{NAMES_MAX}</MaxUploads><IsTruncated>{}</IsTruncated>{}{uploads}</ListMultipartUploadsResult>",
            self.bucket,
            next.is_some(),
            next.unwrap_or_default()
        ))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/post-object-complete>
    pub(super) async fn complete(&self, name: &MultipartName, body: &Bytes) -> Result<Answer, Refusal> {
        let multipart = lock(&self.memory).multipart(name)?.clone();
        let named: Result<Named, _> = quick_xml::de::from_reader(body.as_ref());
        let named = named
            .map_err(|_| refused("MalformedCompleteMultipartUploadRequest"))?
            .parts;
        let parts = parts(&multipart, &named)?;
        lock(&self.memory).may_write(&name.key)?;
        let text: String = parts
            .iter()
            .map(|(number, part)| {
                let etag = escape(part.etag.as_str());
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let query = [("uploadId", multipart.behind.as_str())];
        let mut asked = Asked::new(Method::POST, &name.key, &query);
        asked.body = format!("<CompleteMultipartUpload>{text}</CompleteMultipartUpload>").into();
        succeeded(self.behind.asked(asked).await?).await?;
        let found = self.behind.asked(Asked::new(Method::HEAD, &name.key, &[])).await?;
        let etag = found.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let crc32c = parts.iter().fold(crc32c::crc32c(b""), |crc32c, (_, part)| {
            let bytes = usize::try_from(part.size_bytes).expect("it was in memory");
            crc32c::crc32c_combine(crc32c, part.crc32c, bytes)
        });
        let mut memory = lock(&self.memory);
        memory.multiparts.remove(name);
        let written = memory.wrote(&name.key, Some(crc32c), multipart.class);
        drop(memory);
        let mut answer = xml(&format!(
            "<CompleteMultipartUploadResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>{}</Bucket><Key>{}</Key>\
             <ETag>{}</ETag></CompleteMultipartUploadResult>",
            self.bucket,
            escape(name.key.as_str()),
            escape(etag.unwrap_or_default())
        ));
        let told = told(Response::builder(), &written).body(()).map_err(Refusal::behind)?;
        answer.headers_mut().extend(told.into_parts().0.headers);
        Ok(answer)
    }

    /// <https://cloud.google.com/storage/docs/xml-api/delete-multipart>
    pub(super) async fn abort(&self, name: &MultipartName) -> Result<Answer, Refusal> {
        let ended = lock(&self.memory).multiparts.remove(name);
        let ended = ended.ok_or_else(Refusal::no_such_upload)?;
        let query = [("uploadId", ended.behind.as_str())];
        let asked = Asked::new(Method::DELETE, &name.key, &query);
        succeeded(self.behind.asked(asked).await?).await?;
        Ok(whole(Response::builder().status(StatusCode::NO_CONTENT), ""))
    }
}

/// The parts that a completion names, if they are there, in order, and long enough.
fn parts(multipart: &Multipart, named: &[NamedPart]) -> Result<Vec<(u32, Part)>, Refusal> {
    let Some(last) = named.last() else {
        return Err(refused("MalformedCompleteMultipartUploadRequest"));
    };
    if !named.is_sorted_by(|one, next| one.number < next.number) {
        return Err(refused("InvalidPartOrder"));
    }
    let is_named = |part: &&Part, etag: &str| part.etag.trim_matches('"') == etag.trim_matches('"');
    let mut parts = Vec::with_capacity(named.len());
    for NamedPart { number, etag } in named {
        let part = multipart.parts.get(number).filter(|part| is_named(part, etag));
        let part = part.ok_or_else(|| refused("InvalidPart"))?;
        if part.size_bytes < PART_BYTES_MIN && *number != last.number {
            return Err(refused("EntityTooSmall"));
        }
        parts.push((*number, part.clone()));
    }
    Ok(parts)
}

fn refused(code: &'static str) -> Refusal {
    let message = "The multipart upload can't be completed with these parts.";
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

/// The body of an answer that says that something was done.
async fn succeeded(answer: HttpResponse) -> Result<String, Refusal> {
    let (status, body) = (answer.status(), answer.into_body().bytes().await);
    let body = String::from_utf8_lossy(&body.map_err(Refusal::behind)?).into_owned();
    match status.is_success() && !body.contains("<Error>") {
        true => Ok(body),
        false => Err(Refusal::behind(format!("{status}: {body}"))),
    }
}
