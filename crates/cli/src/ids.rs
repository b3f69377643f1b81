//! Ids on the command line, told apart by their prefix.

use std::{fmt, str::FromStr};

use reelway_client::Target;
use reelway_domain::{JobId, UploadId};

/// What can be watched by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchId {
    /// An upload.
    Upload(UploadId),
    /// A job.
    Job(JobId),
}

impl FromStr for WatchId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split('_').next() {
            Some(UploadId::PREFIX) => text.parse().map(Self::Upload).map_err(|error| error.to_string()),
            Some(JobId::PREFIX) => text.parse().map(Self::Job).map_err(|error| error.to_string()),
            _ => Err("an id begins with upl_ or job_".to_owned()),
        }
    }
}

impl fmt::Display for WatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload(id) => id.fmt(f),
            Self::Job(id) => id.fmt(f),
        }
    }
}

impl From<WatchId> for Target {
    fn from(id: WatchId) -> Self {
        match id {
            WatchId::Upload(id) => Self::Upload(id),
            WatchId::Job(id) => Self::Job(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_what_is_meant() {
        let (upload, job) = (UploadId::new(), JobId::new());
        assert_eq!(upload.to_string().parse(), Ok(WatchId::Upload(upload)));
        assert_eq!(job.to_string().parse(), Ok(WatchId::Job(job)));
        for text in ["", "tsk_1", "job_1", "upl", &job.to_string()[4..]] {
            assert!(text.parse::<WatchId>().is_err(), "{text}");
        }
    }
}
