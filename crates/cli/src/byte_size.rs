//! Numbers of bytes as people write them.

use std::str::FromStr;

use serde::Deserialize;

/// A number of bytes: `1234`, `500k`, `8M`, `2G`, `10T`, with powers of 1024, as curl takes them. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ByteSize(pub(crate) u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, shift) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (&text[..at], 10),
            Some((at, 'M')) => (&text[..at], 20),
            Some((at, 'G')) => (&text[..at], 30),
            Some((at, 'T')) => (&text[..at], 40),
            _ => (text, 0),
        };
        let count: u64 = digits
            .parse()
            .map_err(|_| "it must look like 500k, 8M or a number of bytes")?;
        let bytes = count.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
        bytes
            .map(Self)
            .ok_or_else(|| "it must be more than 0 and less than 16 EiB".to_owned())
    }
}

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_for_curl() {
        assert_eq!("500k".parse(), Ok(ByteSize(500 << 10)));
        assert_eq!("8M".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("10T".parse(), Ok(ByteSize(10 << 40)));
        assert_eq!("1234".parse(), Ok(ByteSize(1234)));
        for text in ["", "0", "M", "-1", "fast", "99999999999999999999G", "99999999999G"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
