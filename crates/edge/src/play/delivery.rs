//! From where players get what is large: from this server, or from the bucket by a redirect.
//!
//! Playlists always come from here: their names are relative, and what they say changes. A redirect costs a viewer one more round
//! trip for each segment, so where everybody may read the bucket, playlists name its addresses themselves.

use std::{str::FromStr, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use reelway_blob::{BucketOutput, OutputKey};
use reelway_domain::{Failure, Reason};
use serde::Deserialize;

/// How long a signed URL works. Whoever has begun to read goes on, also after that.
const SIGNED_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a redirect is used again, in place of the time for which the thing itself may be kept: much shorter than the URL works.
const REDIRECTED: &str = "max-age=300";

/// How players get segments, pictures and downloads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Delivery {
    /// From this server.
    #[default]
    Proxied,
    /// From the bucket, under URLs that are signed for a few minutes.
    Presigned,
    /// From where everybody may read what the bucket has: from a CDN, or from the bucket itself.
    Public(PublicBase),
}

/// The address at which everybody finds what is below the prefix of the store: `https://cdn.example/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicBase(String);

/// A text that is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must look like https://cdn.example or https://cdn.example/PREFIX, with nothing behind the path")]
pub struct PublicBaseError;

/// Players can be sent to a bucket only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store is a directory, and what is in it can only be had from this server")]
pub struct NotInBucket;

impl Delivery {
    /// The answer that sends a player to where an output is; `None`: it gets it here. `kept_as` is for downloads.
    pub(super) async fn redirect(
        &self,
        output: &BucketOutput,
        key: &OutputKey,
        method: &Method,
        kept_as: Option<&str>,
    ) -> Result<Option<Response>, Failure> {
        let url = match self {
            Self::Proxied => return Ok(None),
            Self::Presigned => {
                let reader = output.reader(key);
                reader.signed_url(method.clone(), SIGNED_LIFE, kept_as).await?
            }
            Self::Public(base) => format!("{}/{}", base.0, output.public_name(key)),
        };
        let location = HeaderValue::try_from(url);
        let location = location.map_err(|error| Failure::new(Reason::Internal, error.to_string()))?;
        let mut response = (StatusCode::TEMPORARY_REDIRECT, Body::empty()).into_response();
        response.headers_mut().insert(header::LOCATION, location);
        Ok(Some(response))
    }

    /// A playlist of this job as players get it.
    pub(super) fn named(&self, output: &BucketOutput, playlist: Bytes) -> Bytes {
        match (self, str::from_utf8(&playlist)) {
            (Self::Public(base), Ok(text)) => elsewhere(text, &format!("{}/{}", base.0, output.public_prefix())).into(),
            _ => playlist,
        }
    }
}

/// For how long the redirect may be used again to something that may be kept for so long.
pub(super) fn redirected(is_fixed: bool, freshness: &'static str) -> &'static str {
    if is_fixed { REDIRECTED } else { freshness }
}

/// A playlist whose pieces, `c/…`, are elsewhere. They stand on lines of their own, in quotes, or in elements of XML.
fn elsewhere(playlist: &str, base: &str) -> String {
    let mut named = String::with_capacity(playlist.len() * 2);
    let mut rest = playlist;
    let mut before = '\n';
    while let Some((left, right)) = rest.split_once("c/") {
        named.push_str(left);
        let is_name = matches!(left.chars().next_back().unwrap_or(before), '\n' | '"' | '>');
        named.push_str(if is_name { base } else { "c/" });
        (rest, before) = (right, '/');
    }
    named.push_str(rest);
    named
}

impl FromStr for PublicBase {
    type Err = PublicBaseError;

    fn from_str(text: &str) -> Result<Self, PublicBaseError> {
        let url = url::Url::parse(text).map_err(|_| PublicBaseError)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        // It is written into playlists and XML as it is.
        if !is_web || !is_bare || url.path().contains(['&', '\'']) {
            return Err(PublicBaseError);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl TryFrom<String> for PublicBase {
    type Error = PublicBaseError;

    fn try_from(text: String) -> Result<Self, PublicBaseError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_address_of_the_web() {
        for (text, base) in [
            ("https://cdn.example", "https://cdn.example"),
            ("https://CDN.example/", "https://cdn.example"),
            ("http://127.0.0.1:9000/bucket/a/", "http://127.0.0.1:9000/bucket/a"),
        ] {
            assert_eq!(text.parse(), Ok(PublicBase(base.to_owned())));
        }
        for wrong in [
            "",
            "cdn.example",
            "s3://bucket",
            "https://u:p@cdn.example",
            "https://cdn.example/?a=b",
            "https://cdn.example/#a",
            "https://cdn.example/a&b",
        ] {
            assert_eq!(wrong.parse::<PublicBase>(), Err(PublicBaseError), "{wrong}");
        }
    }

    #[test]
    fn only_names_of_pieces_are_changed() {
        for (playlist, named) in [
            ("c/a.m4s\n#EXTINF:4,\nc/b.m4s\n", "X/a.m4s\n#EXTINF:4,\nX/b.m4s\n"),
            ("#EXT-X-MAP:URI=\"c/i.mp4\"\n", "#EXT-X-MAP:URI=\"X/i.mp4\"\n"),
            ("<BaseURL>c/a.vtt</BaseURL>", "<BaseURL>X/a.vtt</BaseURL>"),
            ("<SegmentURL media=\"c/c/a\"/>", "<SegmentURL media=\"X/c/a\"/>"),
            ("00:01.000\nc/a.jpg#xywh=0,0,1,1\n", "00:01.000\nX/a.jpg#xywh=0,0,1,1\n"),
            ("360p.m3u8\nabc/c/d\n", "360p.m3u8\nabc/c/d\n"),
            ("c/c/c/a", "X/c/c/a"),
            ("", ""),
        ] {
            assert_eq!(elsewhere(playlist, "X/"), named);
        }
    }
}
