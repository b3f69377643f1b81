//! Playlists and the like: read as a whole, tagged by what they say, and compressed for whoever takes that.

use std::{fs, io, io::Write as _, path::PathBuf};

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reelway_domain::{Failure, Reason};
use sha2::{Digest as _, Sha256};

use super::not_found;

/// Shorter texts become longer.
const COMPRESSED_BYTES_MIN: usize = 256;
/// How much of the digest is in a tag, in bytes.
const TAG_BYTES: usize = 16;

/// A text as one client gets it.
struct Variant {
    body: Vec<u8>,
    tag: HeaderValue,
    is_compressed: bool,
}

/// The answer to a request with these headers for this file. Ranges are not for texts: they would be those of what is compressed.
pub(super) async fn answer(file: PathBuf, headers: &HeaderMap) -> Result<Response, Failure> {
    let compress = takes_gzip(headers);
    let read = tokio::task::spawn_blocking(move || fs::read(file).and_then(|text| variant(text, compress)));
    let variant = match read.await.map_err(io::Error::other).and_then(|read| read) {
        Ok(variant) => variant,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_found()),
        Err(error) => {
            tracing::warn!(%error, "a playlist can't be read");
            return Err(Failure::new(
                Reason::StoreUnavailable,
                "the store doesn't answer; try again",
            ));
        }
    };
    let is_known = is_known(headers, &variant.tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(variant.body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, variant.tag);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if variant.is_compressed && !is_known {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn variant(text: Vec<u8>, compress: bool) -> io::Result<Variant> {
    let is_compressed = compress && text.len() >= COMPRESSED_BYTES_MIN;
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(&text)[..TAG_BYTES] {
        tag.push_str(&format!("{byte:02x}"));
    }
    // Other bytes, another tag.
    tag.push_str(if is_compressed { "-gzip\"" } else { "\"" });
    let body = if is_compressed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&text)?;
        encoder.finish()?
    } else {
        text
    };
    Ok(Variant {
        body,
        tag: HeaderValue::try_from(tag).map_err(io::Error::other)?,
        is_compressed,
    })
}

/// Whether a client takes gzip (RFC 9110 section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether the client has it already (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes()
    })
}
