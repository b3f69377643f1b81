//! Playlists and the like: read as a whole, tagged by what they say, and compressed for whoever takes that.

use std::{io, io::Write as _};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reelway_domain::{Failure, Reason};
use sha2::{Digest as _, Sha256};

/// Shorter texts become longer.
const COMPRESSED_BYTES_MIN: usize = 256;
/// How much of the digest is in a tag, in bytes.
const TAG_BYTES: usize = 16;

/// What a playlist says that is still to be asked for again (RFC 8216 section 4.3.3.5).
const GROWING: &[u8] = b"#EXT-X-PLAYLIST-TYPE:EVENT\n";
/// What says that nothing will be added (RFC 8216 section 4.3.3.4).
const END: &[u8] = b"#EXT-X-ENDLIST\n";

/// A text as one client gets it.
struct Variant {
    body: Vec<u8>,
    tag: HeaderValue,
    is_compressed: bool,
}

/// The answer to a request with these headers for this text. `is_ended`: nothing is added to it any more, so a playlist that
/// was to grow ends here. Ranges are not for texts: they would be those of what is compressed.
pub(super) async fn answer(text: Bytes, is_ended: bool, headers: &HeaderMap) -> Result<Response, Failure> {
    let compress = takes_gzip(headers);
    let made = tokio::task::spawn_blocking(move || {
        let text = Vec::from(text);
        variant(if is_ended { ended(text) } else { text }, compress)
    });
    let variant = made.await.map_err(io::Error::other).and_then(|made| made);
    let variant = variant.map_err(|error| Failure::new(Reason::Internal, error.to_string()))?;
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

/// A playlist that stopped growing before all was made: what it has is played to its end, and players don't wait for more.
fn ended(mut text: Vec<u8>) -> Vec<u8> {
    let says = |what: &[u8]| text.windows(what.len()).any(|words| words == what);
    if says(GROWING) && !says(END) {
        text.extend_from_slice(END);
    }
    text
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
