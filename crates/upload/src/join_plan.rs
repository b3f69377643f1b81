//! What can be done for a joined upload, as its parts are now.

use reelway_blob::SourcePlace;
use reelway_catalog::{JoinPart, Upload};
use reelway_domain::{Failure, Offset, Reason, UploadState, limits};

/// A run of a part's bytes that the upload doesn't have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where the part is.
    pub(crate) place: SourcePlace,
    /// Where the run begins in the part.
    pub(crate) from: Offset,
    /// Where the part ends.
    pub(crate) to: Offset,
    /// Where the run begins in the upload.
    pub(crate) at: Offset,
}

/// What can be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The length of the upload, once every part has one.
    pub(crate) size: Option<i64>,
    /// What is there to be copied, in order: all parts up to the first that is not complete.
    pub(crate) runs: Vec<Run>,
    /// Every part is complete.
    pub(crate) is_whole: bool,
}

impl Plan {
    /// # Errors
    /// Why the upload can't become complete: `PART_UNUSABLE`, or `SIZE_EXCEEDED`.
    pub(crate) fn of(upload: &Upload, parts: &[JoinPart]) -> Result<Self, Failure> {
        if let Some(part) = parts.iter().find(|part| came_to_nothing(part.state)) {
            let message = format!(
                "a part of the upload is {}; upload it again and put the parts together again",
                part.state
            );
            return Err(Failure::new(Reason::PartUnusable, message).with("partUploadId", part.id));
        }
        let sizes = parts.iter().map(|part| part.size);
        let size = sizes.sum::<Option<i64>>();
        if let Some(size) = size.filter(|size| *size > limits::UPLOAD_BYTES_MAX) {
            let message = "the parts are longer together than an upload may be";
            return Err(Failure::new(Reason::SizeExceeded, message).with("sizeBytes", size));
        }
        let is_complete = |part: &&JoinPart| part.state == UploadState::Complete;
        let (mut runs, mut begin) = (Vec::new(), 0);
        for part in parts.iter().take_while(is_complete) {
            let end = begin + part.size.unwrap_or_default();
            let at = begin.max(upload.durable_offset.0);
            if at < end {
                runs.push(Run {
                    place: SourcePlace {
                        upload: part.id,
                        file: part.file_epoch,
                        key: part.source_key.clone(),
                    },
                    from: Offset(at - begin),
                    to: Offset(end - begin),
                    at: Offset(at),
                });
            }
            begin = end;
        }
        Ok(Self {
            size,
            runs,
            is_whole: parts.iter().all(|part| is_complete(&part)),
        })
    }

    /// Whether there is anything to do for the upload before another of its parts changes.
    pub(crate) fn is_due(&self, upload: &Upload) -> bool {
        !self.runs.is_empty() || self.is_whole || (self.size.is_some() && upload.size.is_none())
    }
}

fn came_to_nothing(state: UploadState) -> bool {
    match state {
        UploadState::Failed | UploadState::Aborted | UploadState::Expired => true,
        UploadState::Receiving | UploadState::Complete => false,
    }
}
