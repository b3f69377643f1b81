//! What tus clients get back exactly as they gave it, kept with the upload.

use reelway::v1::Upload;
use reelway_domain::{Failure, Reason, limits};
use serde::{Deserialize, Serialize};

/// Headers of the request that created an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// Upload-Metadata.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) metadata: String,
    /// Upload-Concat.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) concat: String,
}

/// The text that is kept: other bridges keep other things under other keys.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    tus: Kept,
}

impl Kept {
    /// What is kept with an upload; nothing, if tus didn't create it.
    pub(super) fn with(upload: &Upload) -> Self {
        let document: Document = serde_json::from_str(&upload.client_state).unwrap_or_default();
        document.tus
    }

    /// The text to keep.
    ///
    /// # Errors
    /// `BODY_TOO_LARGE` if it is longer than may be kept.
    pub(super) fn into_client_state(self) -> Result<String, Failure> {
        if self == Self::default() {
            return Ok(String::new());
        }
        let text = serde_json::to_string(&Document { tus: self })
            .map_err(|error| Failure::new(Reason::Internal, format!("headers can't be kept: {error}")))?;
        if text.len() > limits::CLIENT_STATE_BYTES_MAX {
            let message = format!(
                "Upload-Metadata and Upload-Concat may have {} bytes together",
                limits::CLIENT_STATE_BYTES_MAX
            );
            return Err(Failure::new(Reason::BodyTooLarge, message));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(text: &str) -> Kept {
        Kept::with(&Upload {
            client_state: text.to_owned(),
            ..Upload::default()
        })
    }

    #[test]
    fn headers_come_back() {
        let kept = Kept {
            metadata: r#"b "\",a YQ=="#.to_owned(),
            concat: "final;/files/a".to_owned(),
        };
        assert_eq!(back(&kept.clone().into_client_state().unwrap()), kept);
        assert_eq!(Kept::default().into_client_state().unwrap(), "");
        for other in ["", "text", "{}", r#"{"resumable":{}}"#, "[]"] {
            assert_eq!(back(other), Kept::default(), "{other}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let kept = |length| Kept {
            metadata: "a".repeat(length),
            concat: String::new(),
        };
        assert!(kept(limits::CLIENT_STATE_BYTES_MAX - 100).into_client_state().is_ok());
        let failure = kept(limits::CLIENT_STATE_BYTES_MAX).into_client_state().unwrap_err();
        assert_eq!(failure.reason, Reason::BodyTooLarge);
    }
}
