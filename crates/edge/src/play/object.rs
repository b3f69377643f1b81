//! Segments and pictures in a bucket: passed on as they come, whole or one range of them (RFC 9110 section 14).

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reelway_blob::ObjectReader;
use reelway_domain::{Failure, Reason};

use super::unread;

/// The answer to a request for this object. Several ranges at once are answered with all of it, which a server may do.
pub(super) async fn answer(object: &ObjectReader, request: Request) -> Result<Response, Failure> {
    let size = object.size_bytes().await.map_err(unread)?;
    let tag = format!("\"{:x}-{size:x}\"", object.fingerprint());
    let (headers, is_head) = (request.headers(), request.method() == http::Method::HEAD);
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
        .and_then(|range| range.to_str().ok());
    let (from, to) = match wanted.map_or(Wanted::All, |range| parse(range, size)) {
        Wanted::All => (0, size),
        Wanted::Part(from, to) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes {from}-{}/{size}", to - 1),
            )?;
            (from, to)
        }
        Wanted::Nothing => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"))?;
            return Ok(response);
        }
    };
    set(&mut response, header::CONTENT_LENGTH, &(to - from).to_string())?;
    set(&mut response, header::ACCEPT_RANGES, "bytes")?;
    if !is_head {
        *response.body_mut() = Body::from_stream(object.stream(from, to).await.map_err(unread)?);
    }
    tagged(response, &tag)
}

/// What a client wants of an object.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From the first up to the second.
    Part(u64, u64),
    /// What is not there.
    Nothing,
}

/// One range of bytes. What is not understood is as if it were not there (RFC 9110 section 14.2).
fn parse(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    match (first, last) {
        ("", length) => match number(length) {
            None => Wanted::All,
            Some(0) => Wanted::Nothing,
            Some(length) => Wanted::Part(size.saturating_sub(length), size),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), _) if first >= size => Wanted::Nothing,
            (Some(first), None) if last.is_empty() => Wanted::Part(first, size),
            (Some(first), Some(last)) if first <= last => Wanted::Part(first, size.min(last.saturating_add(1))),
            _ => Wanted::All,
        },
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
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=2-", Wanted::Part(2, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-30", Wanted::Part(0, 10)),
            ("bytes=8-99", Wanted::Part(8, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=x", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(parse(range, 10), wanted, "{range}");
        }
    }
}
