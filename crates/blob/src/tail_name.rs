//! Names of tails.

use std::{fmt, str::FromStr};

use reelway_domain::{Offset, UploadId};

/// What stands between an upload's name and where its tail begins.
const MARK: &str = ".tail.";

/// A tail in the store. As text it is the file's name: `upl_….tail.700` for one that begins at byte 700, and `upl_….tail.700~x` for
/// one that is still being received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TailFile {
    /// Whose bytes it holds.
    pub upload: UploadId,
    /// Where in the upload it begins.
    pub tail: Offset,
    /// What tells drafts apart.
    draft: Option<String>,
}

/// A text that is not the name of a tail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a tail")]
pub struct TailFileError;

impl TailFile {
    /// Whether it was never wholly received.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.draft.is_some()
    }

    pub(crate) fn kept(upload: UploadId, tail: Offset) -> Self {
        Self {
            upload,
            tail,
            draft: None,
        }
    }

    /// How the names of drafts begin.
    pub(crate) fn draft_prefix(upload: UploadId, tail: Offset) -> String {
        format!("{}~", Self::kept(upload, tail))
    }
}

impl fmt::Display for TailFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upload, tail, draft } = self;
        write!(f, "{upload}{MARK}{tail}")?;
        draft.as_ref().map_or(Ok(()), |draft| write!(f, "~{draft}"))
    }
}

impl FromStr for TailFile {
    type Err = TailFileError;

    fn from_str(text: &str) -> Result<Self, TailFileError> {
        let (upload, place) = text.split_once(MARK).ok_or(TailFileError)?;
        let (tail, draft) = match place.split_once('~') {
            Some((tail, draft)) => (tail, Some(draft.to_owned())),
            None => (place, None),
        };
        let file = Self {
            upload: upload.parse().map_err(|_| TailFileError)?,
            tail: Offset(tail.parse().map_err(|_| TailFileError)?),
            draft,
        };
        // One name per file.
        if file.to_string() == text {
            Ok(file)
        } else {
            Err(TailFileError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        let upload = UploadId::new();
        for name in [
            format!("{upload}.tail.0"),
            format!("{upload}.tail.700"),
            format!("{upload}.tail.7~aB3"),
        ] {
            let file: TailFile = name.parse().unwrap();
            assert_eq!((file.to_string(), file.is_draft()), (name.clone(), name.contains('~')));
        }
        for wrong in ["", ".tail.7", "upl_.tail.7"] {
            assert!(wrong.parse::<TailFile>().is_err(), "{wrong}");
        }
        for end in ["", ".7", ".tail.", ".tail.07", ".tail.x", ".tail.7.8"] {
            assert!(format!("{upload}{end}").parse::<TailFile>().is_err(), "{end}");
        }
    }
}
