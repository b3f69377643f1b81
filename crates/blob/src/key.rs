//! Names of outputs: relative paths that can't leave their job's directory.

use std::{fmt, str::FromStr};

/// The most segments of a key.
const LEVELS_MAX: usize = 4;
/// The longest key, in bytes. Below it, no segment is too long for a file system.
const KEY_BYTES_MAX: usize = 240;

/// A text that is not the key of an output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an output key: 1 to 4 segments of a-z, 0-9, '.', '_' and '-', none beginning with a dot")]
pub struct KeyError {
    text: String,
}

/// The name of one output, or of a directory of outputs, within its job: `audio/00003.m4s`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputKey(String);

impl OutputKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of something below this one.
    ///
    /// # Errors
    /// If the result would not be a key.
    pub fn join(&self, below: &str) -> Result<Self, KeyError> {
        format!("{self}/{below}").parse()
    }
}

impl FromStr for OutputKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let valid = text.len() <= KEY_BYTES_MAX
            && text.split('/').count() <= LEVELS_MAX
            && text.split('/').all(|segment| {
                // A leading dot would allow `..`, and names that the store keeps for unfinished files.
                !segment.is_empty()
                    && !segment.starts_with('.')
                    && segment
                        .bytes()
                        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
            });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError {
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for OutputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_inside() {
        for text in ["master.m3u8", "tsk_0-e2/720p/00001.m4s", "a/b/c/d"] {
            assert_eq!(text.parse::<OutputKey>().unwrap().as_str(), text);
        }
        let hostile = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            ".hidden",
            "a/.b",
            "a\\b",
            "a\0b",
            "A",
            "a b",
            "ä",
            "%2e%2e",
            "a/b/c/d/e",
        ];
        for text in hostile {
            assert!(text.parse::<OutputKey>().is_err(), "{text:?}");
        }
        assert!("a".repeat(KEY_BYTES_MAX + 1).parse::<OutputKey>().is_err());
        assert!("a".parse::<OutputKey>().unwrap().join("../../b").is_err());
    }
}
