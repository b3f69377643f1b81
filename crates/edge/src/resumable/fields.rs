//! What a request says of its upload, in structured fields (RFC 9651).

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Item, Parser};

use super::{
    call::{UPLOAD_COMPLETE, UPLOAD_LENGTH, UPLOAD_OFFSET},
    refusal::Refusal,
};

/// What a request says of its upload. A field with a value of another kind counts as absent (section 4.1 of the draft).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    /// `Upload-Complete`: the content is the last of the upload.
    pub(super) complete: Option<bool>,
    /// `Upload-Offset`: where the content belongs, in bytes.
    pub(super) offset: Option<i64>,
    /// `Upload-Length`: all bytes of the upload.
    pub(super) length: Option<i64>,
    content_length: Option<i64>,
}

impl Fields {
    /// Reads them, for content of this length in bytes; `None` if only its end will tell.
    pub(super) fn of(headers: &HeaderMap, content_length: Option<u64>) -> Self {
        Self {
            complete: item(headers, &UPLOAD_COMPLETE).and_then(|value| value.as_boolean()),
            offset: item(headers, &UPLOAD_OFFSET).as_ref().and_then(count),
            length: item(headers, &UPLOAD_LENGTH).as_ref().and_then(count),
            content_length: content_length.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        }
    }

    /// The length of the upload as this request gives it, by `Upload-Length` or by the length of its last content (section
    /// 4.1.3).
    ///
    /// # Errors
    /// 400 `#inconsistent-upload-length` if the two are different.
    pub(super) fn indicated_length(&self, offset: i64, is_last: bool) -> Result<Option<i64>, Refusal> {
        let by_content = self.end(offset).filter(|_| is_last);
        match (self.length, by_content) {
            (Some(told), Some(counted)) if told != counted => Err(Refusal::inconsistent_length(format!(
                "Upload-Length says {told} bytes, and the content would end the upload at {counted}"
            ))),
            (told, counted) => Ok(told.or(counted)),
        }
    }

    /// Where the content ends that begins at `offset`; `None` if only its end will tell.
    pub(super) fn end(&self, offset: i64) -> Option<i64> {
        Some(offset.saturating_add(self.content_length?))
    }
}

/// The value of an Item field. Several lines of one are no Item.
fn item(headers: &HeaderMap, name: &HeaderName) -> Option<BareItem> {
    let mut lines = headers.get_all(name).iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let item: Item = Parser::new(line.as_bytes()).parse().ok()?;
    Some(item.bare_item)
}

/// A non-negative Integer.
fn count(value: &BareItem) -> Option<i64> {
    let number = i64::from(value.as_integer()?);
    (number >= 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(name: &'static str, values: &[&'static str]) -> Fields {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        Fields::of(&headers, None)
    }

    #[test]
    fn r1_values_of_another_kind_are_ignored() {
        for (value, complete) in [("?1", Some(true)), (" ?0 ", Some(false)), ("?1;a=b", Some(true))] {
            assert_eq!(read("upload-complete", &[value]).complete, complete, "{value}");
        }
        for value in ["1", "true", "?2", "?1, ?1", "", "?1 x", "\"?1\""] {
            assert_eq!(read("upload-complete", &[value]).complete, None, "{value}");
        }
        for (value, count) in [
            ("0", 0),
            ("42", 42),
            ("999999999999999", 999_999_999_999_999),
            ("7;x", 7),
        ] {
            assert_eq!(read("upload-offset", &[value]).offset, Some(count), "{value}");
            assert_eq!(read("upload-length", &[value]).length, Some(count), "{value}");
        }
        for value in [
            "-1",
            "+1",
            "1.0",
            "1.5",
            "abc",
            "",
            "1, 1",
            "?1",
            "0x1",
            "1000000000000000",
            "18446744073709551616",
        ] {
            assert_eq!(read("upload-offset", &[value]).offset, None, "{value}");
            assert_eq!(read("upload-length", &[value]).length, None, "{value}");
        }
        assert_eq!(read("upload-offset", &["1", "1"]).offset, None, "two lines are a List");
    }

    #[test]
    fn r12_two_indicators_of_the_length_must_agree() {
        let fields = |length, content_length| Fields {
            complete: None,
            offset: None,
            length,
            content_length,
        };
        let length = |fields: Fields, offset, is_last| fields.indicated_length(offset, is_last).ok();
        assert_eq!(length(fields(Some(9), Some(4)), 5, true), Some(Some(9)));
        assert_eq!(length(fields(Some(9), Some(4)), 4, true), None, "they don't agree");
        assert_eq!(
            length(fields(Some(9), Some(4)), 4, false),
            Some(Some(9)),
            "more will come"
        );
        assert_eq!(length(fields(None, Some(4)), 5, true), Some(Some(9)));
        assert_eq!(length(fields(None, None), 5, true), Some(None), "its end will tell");
        assert_eq!(length(fields(None, Some(4)), 5, false), Some(None));
        assert_eq!(
            length(fields(None, Some(4)), i64::MAX, true),
            Some(Some(i64::MAX)),
            "no overflow"
        );
    }
}
