//! The refusal of what a tenant may not have.

use reelway_domain::{Failure, Reason};

/// A tenant wants more than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// More bytes.
    #[error("{wanted} bytes don't fit beside the {used} of {max} that are used")]
    Bytes {
        /// What it may have.
        max: i64,
        /// What it has, reserved and stored.
        used: i64,
        /// What it wants beside that.
        wanted: i64,
    },
    /// More uploads at the same time.
    #[error("{open} uploads are open, of {max}")]
    UploadsOpen {
        /// How many it may have.
        max: i64,
        /// How many it has.
        open: i64,
    },
}

impl From<QuotaError> for Failure {
    /// What the caller hears. It is counted here.
    fn from(error: QuotaError) -> Self {
        let (limit, failure) = match error {
            QuotaError::Bytes { max, used, wanted } => {
                let message = "the quota of bytes doesn't allow it; delete what isn't needed, or ask for more";
                let failure = Self::new(Reason::QuotaExceeded, message)
                    .with("quotaBytes", max)
                    .with("usedBytes", used)
                    .with("sizeBytes", wanted);
                ("bytes", failure)
            }
            QuotaError::UploadsOpen { max, open } => {
                let message = "too many uploads are open; complete or abort some, or try again later";
                let failure = Self::new(Reason::UploadsTooMany, message)
                    .with("uploadsOpenMax", max)
                    .with("uploadsOpen", open);
                ("uploads_open", failure)
            }
        };
        metrics::counter!("reelway_quota_refusals_total", "limit" => limit).increment(1);
        failure
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn a_refusal_is_counted() {
        let recorder = DebuggingRecorder::new();
        let refused = || Failure::from(QuotaError::UploadsOpen { max: 2, open: 2 });
        let failure = metrics::with_local_recorder(&recorder, refused);
        assert_eq!(failure.metadata["uploadsOpenMax"], "2");
        let counted = recorder.snapshotter().snapshot().into_vec();
        let [(key, _, _, DebugValue::Counter(1))] = &counted[..] else {
            panic!("{counted:?}");
        };
        assert_eq!(key.key().name(), "reelway_quota_refusals_total");
    }
}
