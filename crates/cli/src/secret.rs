//! Settings that must not be shown: a secret, and a URL or a secret that stands in a file.

use std::{fmt, fs, path::Path};

use serde::Deserialize;

use crate::config::ConfigError;

/// Something that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The value of a setting that is given as it is or as a file that holds it. The end of the file's last line doesn't count.
///
/// # Errors
/// If both are given, or the file can't be read.
pub(crate) fn given(
    option: &'static str,
    value: Option<String>,
    file: Option<&Path>,
) -> Result<Option<String>, ConfigError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(ConfigError::Twice { option }),
        (value, None) => Ok(value),
        (None, Some(path)) => {
            let text = fs::read_to_string(path).map_err(|source| ConfigError::ReadSecret {
                option,
                path: path.to_owned(),
                source,
            })?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_its_option_would() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "redis://:p@h/\n").expect("a written file");
        let read = given("redis", None, Some(file.path())).expect("it can be read");
        assert_eq!(read.as_deref(), Some("redis://:p@h/"));
        assert_eq!(
            given("redis", Some("a".into()), None).expect("no file").as_deref(),
            Some("a")
        );
        assert!(given("redis", None, None).expect("nothing").is_none());
    }

    #[test]
    fn what_is_wrong_with_it_is_told_without_it() {
        let nowhere = Path::new("/nowhere/redis-url");
        let twice = given("redis", Some("redis://:hidden@h/".into()), Some(nowhere)).expect_err("both");
        assert!(twice.to_string().contains("--redis-file") && !twice.to_string().contains("hidden"));
        let unread = given("redis", None, Some(nowhere)).expect_err("no file");
        assert!(unread.to_string().contains("/nowhere/redis-url"), "{unread}");
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", Secret("hush".into())).contains("hush"));
    }
}
