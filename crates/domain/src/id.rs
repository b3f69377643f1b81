//! Ids: a prefix that tells what is named, and a UUIDv7, so that they sort by creation time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of the form {prefix}_ and 32 hexadecimal digits")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form begins with, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, later than all that this machine made before.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "each call makes another id")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = || IdError { text: text.chars().take(64).collect(), prefix: $prefix };
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or_else(error)?;
                // One text per id: the canonical one, or the same row could be asked for under several names.
                let canonical = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !canonical {
                    return Err(error());
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| error())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

id!(
    /// Names an upload.
    UploadId, "upl"
);
id!(
    /// Names a job.
    JobId, "job"
);
id!(
    /// Names what a webhook tells, the same for every try and every receiver: receivers tell repetitions by it.
    WebhookId, "msg"
);
id!(
    /// Names an API key, and is the part of it that is no secret.
    ApiKeyId, "rwk"
);
id!(
    /// Names a task.
    TaskId, "tsk"
);
id!(
    /// Names one start of one worker process: a worker that restarts is another worker.
    WorkerId, "wrk"
);
id!(
    /// Names the bytes of a deployment: two servers work together only on the same ones.
    StoreId, "sto"
);
id!(
    /// Names who writes uploads: one start of one server process, or whichever process has the store for itself.
    WriterId, "wtr"
);

impl WriterId {
    /// Whoever has the store for itself. The process that had it before is dead, so its files can be gone on with.
    pub const ONLY: Self = Self(Uuid::nil());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id = JobId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("job_"));
    }

    #[test]
    fn ids_sort_by_creation() {
        let ids: Vec<String> = (0..100).map(|_| UploadId::new().to_string()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn other_texts_are_refused() {
        let upload = UploadId::new().to_string();
        for text in [
            "",
            "upl_",
            "../etc",
            &upload.to_uppercase(),
            &upload[4..],
            &format!("{upload}0"),
        ] {
            assert!(text.parse::<UploadId>().is_err(), "{text}");
        }
        assert!(upload.parse::<JobId>().is_err(), "an upload is not a job");
    }
}
