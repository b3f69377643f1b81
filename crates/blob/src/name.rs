//! Names of an upload's files.

use std::{fmt, str::FromStr};

use reelway_domain::{FileEpoch, UploadId};

/// One of an upload's files. As text it is the file's name: `upl_…` for the first, `upl_….7` for the one that the writer
/// with epoch 7 began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadFile {
    /// Whose bytes it holds.
    pub upload: UploadId,
    /// Which of the upload's files it is.
    pub epoch: FileEpoch,
}

/// A text that is not the name of an upload's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an upload's file")]
pub struct UploadFileError;

impl fmt::Display for UploadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upload, epoch } = self;
        if *epoch == FileEpoch::FIRST {
            write!(f, "{upload}")
        } else {
            write!(f, "{upload}.{epoch}")
        }
    }
}

impl FromStr for UploadFile {
    type Err = UploadFileError;

    fn from_str(text: &str) -> Result<Self, UploadFileError> {
        let (upload, epoch) = text.split_once('.').unwrap_or((text, "0"));
        let file = Self {
            upload: upload.parse().map_err(|_| UploadFileError)?,
            epoch: FileEpoch(epoch.parse().map_err(|_| UploadFileError)?),
        };
        // One name per file.
        if file.to_string() == text {
            Ok(file)
        } else {
            Err(UploadFileError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        let upload = UploadId::new();
        for epoch in [FileEpoch::FIRST, FileEpoch(7)] {
            let file = UploadFile { upload, epoch };
            assert_eq!(file.to_string().parse(), Ok(file));
        }
        for wrong in ["", "lost+found", ".7", "upl_.7"] {
            assert!(wrong.parse::<UploadFile>().is_err(), "{wrong}");
        }
        for tail in [".", ".0", ".07", ".x", ".7.8", " "] {
            assert!(format!("{upload}{tail}").parse::<UploadFile>().is_err(), "{tail}");
        }
    }
}
