//! The names of tus, and what stands in its simple headers.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reelway_domain::{Failure, Reason};
use reelway_rpc::request::violation;

/// The only version that there is.
pub(super) const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
/// The media type of bytes that are appended.
pub(super) const OFFSET_OCTET_STREAM: &str = "application/offset+octet-stream";

pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(super) const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(super) const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(super) const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(super) const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub(super) const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");

/// How long the client says the upload will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(i64),
    /// It will say so later.
    Deferred,
    /// It says nothing.
    Absent,
}

/// Whether the client speaks this version (Tus-Resumable).
///
/// # Errors
/// `TUS_VERSION_UNSUPPORTED`.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Failure> {
    if text(headers, &TUS_RESUMABLE)? == Some("1.0.0") {
        return Ok(());
    }
    let message = "the header Tus-Resumable must be 1.0.0";
    Err(Failure::new(Reason::TusVersionUnsupported, message))
}

/// Upload-Length and Upload-Defer-Length of a new upload.
///
/// # Errors
/// `FIELD_INVALID` if they can't be read, or say both.
pub(super) fn length(headers: &HeaderMap) -> Result<Length, Failure> {
    let known = count(headers, &UPLOAD_LENGTH)?;
    match (known, text(headers, &UPLOAD_DEFER_LENGTH)?) {
        (Some(_), Some(_)) => Err(wrong(&UPLOAD_DEFER_LENGTH, "must not stand beside Upload-Length")),
        (Some(bytes), None) => Ok(Length::Known(bytes)),
        (None, Some("1")) => Ok(Length::Deferred),
        (None, Some(_)) => Err(wrong(&UPLOAD_DEFER_LENGTH, "must be 1")),
        (None, None) => Ok(Length::Absent),
    }
}

/// A number of bytes.
///
/// # Errors
/// `FIELD_INVALID` if it is something else.
pub(super) fn count(headers: &HeaderMap, name: &HeaderName) -> Result<Option<i64>, Failure> {
    let Some(text) = text(headers, name)? else {
        return Ok(None);
    };
    // Rust's parser takes a sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(bytes) if is_number => Ok(Some(bytes)),
        _ => Err(wrong(name, "must be a number of bytes: digits only, less than 2^63")),
    }
}

/// A header that stands once.
///
/// # Errors
/// `FIELD_INVALID` if it stands several times, or isn't ASCII.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => {
            let text = line.to_str();
            text.map(Some).map_err(|_| wrong(name, "must be visible ASCII"))
        }
        (Some(_), Some(_)) => Err(wrong(name, "must stand once")),
    }
}

/// Whether the body is to be appended, by its media type.
pub(super) fn is_append(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = named.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(OFFSET_OCTET_STREAM))
}

/// A header is wrong.
pub(super) fn wrong(name: &HeaderName, description: impl Into<String>) -> Failure {
    Failure::invalid(vec![violation(name.as_str(), description)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn c7_numbers_are_digits() {
        let read = |value| count(&headers(&[("upload-offset", value)]), &UPLOAD_OFFSET).ok();
        assert_eq!(read("0"), Some(Some(0)));
        assert_eq!(read("007"), Some(Some(7)));
        assert_eq!(read("9223372036854775807"), Some(Some(i64::MAX)));
        for wrong in [
            "",
            "-1",
            "+1",
            "1.5",
            "abc",
            "1 2",
            "0x1",
            "9223372036854775808",
            "18446744073709551616",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(count(&HeaderMap::new(), &UPLOAD_OFFSET).ok(), Some(None));
        let twice = headers(&[("upload-offset", "1"), ("upload-offset", "1")]);
        let failure = count(&twice, &UPLOAD_OFFSET).unwrap_err();
        assert_eq!(failure.violations[0].field, "upload-offset", "the header is named");
    }

    #[test]
    fn dl2_dl6_one_of_two_lengths() {
        let read = |fields: &[(&'static str, &'static str)]| length(&headers(fields)).ok();
        assert_eq!(read(&[("upload-length", "5")]), Some(Length::Known(5)));
        assert_eq!(read(&[("upload-defer-length", "1")]), Some(Length::Deferred));
        assert_eq!(read(&[]), Some(Length::Absent));
        assert_eq!(read(&[("upload-length", "5"), ("upload-defer-length", "1")]), None);
        for wrong in ["0", "2", "true", ""] {
            assert_eq!(read(&[("upload-defer-length", wrong)]), None, "{wrong}");
        }
    }

    #[test]
    fn c13_a_media_type_may_have_parameters() {
        let read = |value| is_append(&headers(&[("content-type", value)]));
        assert!(read("application/offset+octet-stream"));
        assert!(read("Application/Offset+Octet-Stream; charset=utf-8"));
        assert!(!read("application/octet-stream") && !read("") && !is_append(&HeaderMap::new()));
    }
}
