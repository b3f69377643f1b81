//! `Content-Range` of a body that is the end of a file.

use http::{HeaderMap, header};
use reelway_domain::Failure;
use reelway_rpc::request::violation;

/// The last bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Where the first byte lies.
    pub(super) first: i64,
    /// How long the whole file is, in bytes.
    pub(super) size: i64,
}

impl Range {
    /// What the headers say.
    ///
    /// # Errors
    /// `FIELD_INVALID` if there is not exactly one such header, or it isn't `bytes FIRST-LAST/SIZE` with the last byte of the file.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let mut all = headers.get_all(header::CONTENT_RANGE).iter();
        let text = match (all.next(), all.next()) {
            (Some(only), None) => only.to_str().ok(),
            _ => None,
        };
        text.and_then(parsed).ok_or_else(|| {
            let description = "must be there once, as bytes FIRST-LAST/SIZE, where LAST is SIZE - 1";
            Failure::invalid(vec![violation("Content-Range", description)])
        })
    }

    /// How long the body is.
    pub(super) fn bytes(&self) -> u64 {
        self.size.abs_diff(self.first)
    }
}

fn parsed(text: &str) -> Option<Range> {
    let (unit, range) = text.split_once(' ')?;
    let (places, size) = range.split_once('/')?;
    let (first, last) = places.split_once('-')?;
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    let is_end = unit.eq_ignore_ascii_case("bytes") && first <= last && last.checked_add(1) == Some(size);
    is_end.then_some(Range { first, size })
}

/// Digits and nothing else.
fn number(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_end_of_a_file_is_taken() {
        let right = [
            ("bytes 700-999/1000", 700, 1000),
            ("Bytes 0-0/1", 0, 1),
            ("bytes 007-9/10", 7, 10),
        ];
        for (text, first, size) in right {
            assert_eq!(parsed(text), Some(Range { first, size }), "{text}");
        }
        let wrong = [
            "",
            "bytes",
            "bytes 1-2",
            "bytes 1-2/*",
            "bytes */3",
            "bytes 1-2/4",
            "bytes 3-2/3",
            "bytes  1-2/3",
            "bytes=1-2/3",
            "lines 1-2/3",
            "bytes +1-2/3",
            "bytes -1-2/3",
            "bytes 1-2/3 ",
            "bytes 1-2/3, 1-2/3",
            "bytes 1-9223372036854775807/9223372036854775808",
            "bytes 1-99999999999999999999/1",
        ];
        for text in wrong {
            assert_eq!(parsed(text), None, "{text}");
        }
        let mut headers = HeaderMap::new();
        assert!(Range::of(&headers).is_err());
        headers.append(header::CONTENT_RANGE, HeaderValue::from_static("bytes 1-2/3"));
        assert!(Range::of(&headers).is_ok());
        headers.append(header::CONTENT_RANGE, HeaderValue::from_static("bytes 1-2/3"));
        assert!(Range::of(&headers).is_err(), "which one?");
    }
}
