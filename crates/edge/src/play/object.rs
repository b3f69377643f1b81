//! Segments and pictures in a bucket: passed on as they come, whole or one range of them (RFC 9110 section 14).

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reelway_blob::{ByteSpan, ObjectReader, Opened};
use reelway_domain::{Failure, Reason};

use super::unread;

/// The answer to a request for this object, with one request to the bucket at most. Several ranges at once are answered with all of
/// it, which a server may do.
pub(super) async fn answer(object: &ObjectReader, request: Request) -> Result<Response, Failure> {
    // What an object holds never changes under its key.
    let tag = format!("\"{:016x}\"", object.fingerprint());
    let headers = request.headers();
    let mut response = Response::new(Body::empty());
    if says(headers, header::IF_NONE_MATCH, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return tagged(response, &tag);
    }
    let is_same = headers
        .get(header::IF_RANGE)
        .is_none_or(|wanted| wanted.as_bytes() == tag.as_bytes());
    let wanted = headers
        .get(header::RANGE)
        .filter(|_| is_same)
        .and_then(|range| parse(range.to_str().ok()?))
        .unwrap_or(ByteSpan::Whole);
    let found = find(object, wanted, request.method() == Method::HEAD).await?;
    let size = found.size_bytes;
    let Some((from, to)) = found.bytes else {
        *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"))?;
        return Ok(response);
    };
    if wanted != ByteSpan::Whole {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {from}-{}/{size}", to.saturating_sub(1));
        set(&mut response, header::CONTENT_RANGE, &range)?;
    }
    set(&mut response, header::CONTENT_LENGTH, &(to - from).to_string())?;
    set(&mut response, header::ACCEPT_RANGES, "bytes")?;
    *response.body_mut() = found.body;
    tagged(response, &tag)
}

/// What the bucket has of what is wanted.
struct Found {
    size_bytes: u64,
    /// From where up to where; `None`: nothing.
    bytes: Option<(u64, u64)>,
    body: Body,
}

async fn find(object: &ObjectReader, wanted: ByteSpan, is_head: bool) -> Result<Found, Failure> {
    let (size_bytes, bytes, body) = if is_head {
        let size_bytes = object.size_bytes().await.map_err(unread)?;
        (size_bytes, wanted.within(size_bytes), Body::empty())
    } else {
        match object.open(wanted).await.map_err(unread)? {
            Opened::Outside { size_bytes } => (size_bytes, None, Body::empty()),
            Opened::Bytes(open) => {
                let bytes = Some((open.from, open.to));
                (open.size_bytes, bytes, Body::from_stream(open.into_stream()))
            }
        }
    };
    Ok(Found {
        size_bytes,
        bytes,
        body,
    })
}

/// One range of bytes. What is not understood is as if it were not there (RFC 9110 section 14.2).
fn parse(range: &str) -> Option<ByteSpan> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    match (first, last) {
        ("", length) => number(length).map(ByteSpan::Last),
        (first, "") => number(first).map(ByteSpan::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| ByteSpan::Between(first, last.saturating_add(1)))
        }
    }
}

/// Whether the client has it already (RFC 9110 section 13.1.2).
fn says(headers: &HeaderMap, name: header::HeaderName, tag: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag)
}

fn tagged(mut response: Response, tag: &str) -> Result<Response, Failure> {
    set(&mut response, header::ETAG, tag)?;
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) -> Result<(), Failure> {
    let value = HeaderValue::try_from(value).map_err(|error| Failure::new(Reason::Internal, error.to_string()))?;
    response.headers_mut().insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_or_all() {
        for (range, wanted) in [
            ("bytes=0-0", Some(ByteSpan::Between(0, 1))),
            ("bytes=2-", Some(ByteSpan::From(2))),
            ("bytes=-3", Some(ByteSpan::Last(3))),
            ("bytes=8-99", Some(ByteSpan::Between(8, 100))),
            ("bytes=-", None),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=x", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(parse(range), wanted, "{range}");
        }
    }
}
