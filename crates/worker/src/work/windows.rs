//! What a task reads of a complete upload in a bucket: a sparse file with the outline of the source and the packets that the task needs,
//! each at its true place. Where nobody knows which those are, it is a copy of the whole source.
//!
//! What comes out of it is what would come out of the whole source. Nothing fails for good by what is not in the file: the whole source
//! has the last word.

use std::{io, path::Path};

use reelway_blob::{BlobError, ObjectReader};
use reelway_catalog::Upload;
use reelway_domain::{Failure, Reason, TaskKind};
use reelway_media::{self as media, ByteRange, PlanView};
use tokio::runtime::Handle;

use super::{Job, internal, needs, view::View};
use crate::sources::Sources;

/// The view's name in the scratch directory.
const FILE_NAME: &str = "windows";
/// The name of a copy of the whole source there.
const COPY_NAME: &str = "source";

/// What is in a view of a source.
#[derive(Debug)]
pub(super) struct Windows {
    /// Where it lies in the source.
    pub(super) ranges: Vec<ByteRange>,
    source: ObjectReader,
}

/// A complete upload as a task sees it.
pub(super) async fn of(job: &Job, upload: &Upload, source: ObjectReader, scratch: &Path) -> Result<View, media::Error> {
    let sources = &job.worker.sources;
    let size_bytes = sources.size_bytes(&source).await?;
    if let Some(expected) = upload.size.map(i64::unsigned_abs).filter(|size| *size != size_bytes) {
        let (path, have) = (source.key().into(), size_bytes);
        return Err(Failure::from(BlobError::Short { path, have, expected }).into());
    }
    let kind = job.claim.task.kind;
    let (ranges, is_beginning) = if matches!(kind, TaskKind::Probe | TaskKind::Plan | TaskKind::Verify) {
        (outline(job, &source, size_bytes).await?, false)
    } else {
        let plan = job.plan()?.plan;
        (needs::windows(&plan, &job.claim.task), plan.view == PlanView::Prefix)
    };
    let Some(ranges) = ranges else {
        return all(sources, &source, scratch).await;
    };
    let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let file_bytes = if is_beginning { end } else { size_bytes };
    let path = scratch.join(FILE_NAME);
    sources.copy_ranges(&source, &ranges, file_bytes, &path).await?;
    Ok(View {
        path,
        index: None,
        is_beginning,
        windows: Some(Windows { ranges, source }),
    })
}

/// Everything of a source but its packets; `None` if nobody knows what that is.
async fn outline(job: &Job, source: &ObjectReader, size_bytes: u64) -> Result<Option<Vec<ByteRange>>, media::Error> {
    let (worker, source, handle) = (job.worker.clone(), source.clone(), Handle::current());
    let look = move || {
        let mut failure = None;
        let outline = media::outline(size_bytes, |at, buffer| {
            let read = handle.block_on(worker.sources.read(&source, at, buffer.len()));
            let bytes = read.map_err(|error| {
                failure = Some(error);
                io::Error::other("the bucket")
            })?;
            if bytes.len() < buffer.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer.copy_from_slice(&bytes);
            Ok(())
        });
        outline.map_err(|error| failure.unwrap_or_else(|| Failure::new(Reason::StoreUnavailable, error.to_string())))
    };
    let looked = tokio::task::spawn_blocking(look).await;
    Ok(looked.map_err(|error| internal(&error))??)
}

/// A copy of the whole source.
async fn all(sources: &Sources, source: &ObjectReader, scratch: &Path) -> Result<View, media::Error> {
    let path = scratch.join(COPY_NAME);
    sources.copy(source, &path).await?;
    Ok(View::whole(path))
}

impl Job {
    /// Whether the task sees parts of a complete source.
    pub(super) fn sees_windows(&self) -> bool {
        self.view().is_ok_and(|view| view.windows.is_some())
    }

    /// Whether a failure may be due to what the task doesn't see of a complete source, rather than to the machines.
    pub(super) fn may_see_more(&self, error: &media::Error) -> bool {
        let is_of_machines = |reason| {
            matches!(
                reason,
                Reason::StoreUnavailable
                    | Reason::StorageFull
                    | Reason::CatalogUnavailable
                    | Reason::EncoderOutOfMemory
                    | Reason::Internal
            )
        };
        let reason = error.failure().map(|failure| failure.reason);
        self.sees_windows() && reason.is_some_and(|reason| !is_of_machines(reason))
    }

    /// Has the task see all of a source of which it has seen parts.
    pub(super) async fn see_all(&self, scratch: &Path) -> Result<(), media::Error> {
        let Some(windows) = &self.view()?.windows else {
            return Ok(());
        };
        let whole = all(&self.worker.sources, &windows.source, scratch).await?;
        // It sees parts, so nothing was set before.
        drop(self.whole.set(whole));
        Ok(())
    }
}
