//! What a task reads: the upload itself once it is complete, and before that a sparse file that holds what the task needs of
//! it, at its true place. In a bucket it is put together from the objects that hold what has arrived.
//!
//! Only bytes that are durable are in a view, and of the tail only the index: what was sent ahead may be anything. The index is
//! told by its digest, so that all tasks of a plan see the same one.

mod beginning;

use std::path::{Path, PathBuf};

use reelway_blob::{ArrivedBytes, ArrivedRun, BlobError, BucketStore, DiskStore, RunPlace, SourcePlace, Store};
use reelway_catalog::Upload;
use reelway_domain::{Failure, Offset, ReadyAt, Reason, SourceState, TaskKind, UploadState, limits};
use reelway_media::{self as media, Arrived, ByteRange, Layout};

use self::beginning::Place;
use super::{
    Job, internal, needs,
    windows::{self, Windows},
};

/// The view's name in the scratch directory.
const FILE_NAME: &str = "view";
/// Where a file ends at the latest whose length isn't known yet.
const SIZE_UNKNOWN: u64 = limits::UPLOAD_BYTES_MAX.unsigned_abs();
/// A task that was too early waits for at least one part in so many more of what is there, so that looking costs little.
const GROWTH_PARTS: u64 = 4;

/// What a task reads.
#[derive(Debug)]
pub(super) struct View {
    pub(super) path: PathBuf,
    /// The index that was seen of an upload that arrives; `None` if it is complete.
    pub(super) index: Option<SeenIndex>,
    /// The file is the beginning of a source that is made of pieces, and not an index with holes.
    pub(super) is_beginning: bool,
    /// What is there of a complete upload; `None` if that is all, or the upload arrives.
    pub(super) windows: Option<Windows>,
}

impl View {
    /// All of a complete upload.
    pub(super) fn whole(path: PathBuf) -> Self {
        Self {
            path,
            index: None,
            is_beginning: false,
            windows: None,
        }
    }
}

/// The index of a file that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenIndex {
    /// Where it lies, with the headers and the first media data.
    pub(super) ranges: Vec<ByteRange>,
    /// The SHA-256 of these bytes; something else that tells one beginning from another if they are all that is seen.
    pub(super) digest: String,
}

/// Whether a task can begin.
pub(super) enum Sight {
    Ready(View),
    NotYet(ReadyAt),
}

/// The source as this task can see it by now.
pub(super) async fn of(job: &Job, scratch: &Path) -> Result<Sight, media::Error> {
    if job.claim.upload.state == UploadState::Complete {
        return complete(job, &job.claim.upload, scratch).await;
    }
    let catalog = &job.worker.catalog;
    let upload = catalog.upload(&job.claim.upload.tenant, job.claim.upload.id).await;
    let upload = upload.map_err(Failure::from)?.ok_or(media::Error::Cancelled)?;
    match upload.state {
        UploadState::Receiving => {}
        UploadState::Complete => {
            return complete(job, &upload, scratch).await;
        }
        // The job ends with it.
        UploadState::Failed | UploadState::Aborted | UploadState::Expired => return Err(media::Error::Cancelled),
    }
    let size = upload.size.map_or(SIZE_UNKNOWN, i64::unsigned_abs);
    let Some(runs) = runs(job, &upload, size).await? else {
        return Ok(Sight::NotYet(ReadyAt::Offset(upload.durable_offset)));
    };
    let there = Arrived {
        prefix: upload.durable_offset.as_u64(),
        tail: upload.tail_offset.map_or(size, Offset::as_u64),
        size,
    };
    let wanted = wanted(job)?;
    let (worker, id, path) = (job.worker.clone(), upload.id, scratch.join(FILE_NAME));
    let made = tokio::task::spawn_blocking(move || {
        let kept_bytes = match &wanted {
            Wanted::Index => worker.beginnings.take(id, &path),
            Wanted::Media { index, ranges } => {
                let end = beginning::end_without_gap(&[&index.ranges[..], ranges].concat());
                end.map_or(0, |end| worker.beginnings.share(id, &path, end))
            }
            Wanted::Whole => 0,
        };
        make(runs, &there, wanted, Place { path, kept_bytes })
    });
    made.await.map_err(|error| internal(&error))?
}

/// A complete upload.
async fn complete(job: &Job, upload: &Upload, scratch: &Path) -> Result<Sight, media::Error> {
    let place = SourcePlace {
        upload: upload.id,
        file: upload.file_epoch,
        key: upload.source_key.clone(),
    };
    let store = match upload.source_state {
        SourceState::Stored => Some(&job.worker.store),
        SourceState::Archived => job.worker.archive.as_ref(),
        SourceState::Removed => None,
    };
    let gone = || match upload.source_state {
        SourceState::Removed => Failure::new(Reason::SourceRemoved, "the source was removed; upload the file again"),
        SourceState::Stored | SourceState::Archived => Failure::new(
            Reason::StoreUnavailable,
            "the source is in the archive store, which this worker doesn't have",
        ),
    };
    let store = store.ok_or_else(gone)?;
    Ok(Sight::Ready(match store.source(&place).map_err(Failure::from)? {
        RunPlace::File(path) => View::whole(path),
        RunPlace::Object(source) => windows::of(job, upload, source, scratch).await?,
    }))
}

/// These bytes of a file, with their digest.
pub(super) async fn seen_of(path: PathBuf, ranges: Vec<ByteRange>) -> Result<SeenIndex, media::Error> {
    let look = move || {
        let (bytes, _) = whole_file(path)?;
        seen(&bytes, ranges).map_err(|error| unreadable(&error))
    };
    let looked = tokio::task::spawn_blocking(look).await;
    Ok(looked.map_err(|error| internal(&error))??)
}

/// A file of which every byte is there, and its length.
fn whole_file(path: PathBuf) -> Result<(ArrivedBytes, u64), Failure> {
    let size = std::fs::metadata(&path).map_err(|error| unreadable(&error))?.len();
    let run = ArrivedRun {
        place: RunPlace::File(path),
        from: 0,
        to: size,
        origin: 0,
    };
    Ok((ArrivedBytes::open(vec![run]).map_err(Failure::from)?, size))
}

/// The index of a file that is there whole, as it would be seen while it arrives; `None` if it would not.
pub(super) async fn whole_index(path: PathBuf) -> Result<Option<SeenIndex>, media::Error> {
    let look = move || {
        let (bytes, size) = whole_file(path)?;
        let there = Arrived {
            prefix: size,
            tail: size,
            size,
        };
        let unread = |error| unreadable(&error);
        match layout(&bytes, &there).map_err(unread)? {
            Layout::Indexed(ranges) => Ok(Some(seen(&bytes, ranges).map_err(unread)?)),
            Layout::Pieces(_) | Layout::Later(_) | Layout::Complete => Ok(None),
        }
    };
    tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| internal(&error))?
}

/// What a task wants to see beside the index.
enum Wanted {
    /// Nothing: it finds the index.
    Index,
    /// Media data that was planned for by an index.
    Media { index: SeenIndex, ranges: Vec<ByteRange> },
    /// All of it.
    Whole,
}

fn wanted(job: &Job) -> Result<Wanted, media::Error> {
    let task = &job.claim.task;
    if matches!(task.kind, TaskKind::Probe | TaskKind::Plan) {
        return Ok(Wanted::Index);
    }
    let stored = job.plan()?;
    let ranges = needs::ranges_of(&stored.plan, task);
    Ok(match (stored.index_digest, ranges) {
        (Some(digest), Some(ranges)) => {
            let index = SeenIndex {
                ranges: stored.plan.index_bytes,
                digest,
            };
            Wanted::Media { index, ranges }
        }
        _ => Wanted::Whole,
    })
}

/// Where the bytes are that are there; `None` if the upload has changed hands meanwhile.
async fn runs(job: &Job, upload: &Upload, size: u64) -> Result<Option<Vec<ArrivedRun>>, media::Error> {
    match &job.worker.store {
        Store::Disk(disk) => file_runs(job, disk, upload, size).await,
        Store::Bucket(bucket) => object_runs(job, bucket, upload, size).await.map(Some),
    }
}

async fn file_runs(
    job: &Job,
    store: &DiskStore,
    upload: &Upload,
    size: u64,
) -> Result<Option<Vec<ArrivedRun>>, media::Error> {
    let earlier = job.worker.catalog.earlier_bytes(upload).await;
    let Some(earlier) = earlier.map_err(Failure::from)? else {
        return Ok(None);
    };
    let run = |file, from: Offset, to: Offset| ArrivedRun {
        place: RunPlace::File(store.upload_path(upload.id, file)),
        from: from.as_u64(),
        to: to.as_u64(),
        origin: 0,
    };
    let begun = earlier.last().map_or(Offset::ZERO, |last| last.to);
    let mut runs: Vec<ArrivedRun> = earlier.iter().map(|part| run(part.file, part.from, part.to)).collect();
    runs.push(run(upload.file_epoch, begun, upload.durable_offset));
    let tail = |tail| RunPlace::File(store.tail_path(upload.id, tail));
    runs.extend(tail_run(upload, size, tail));
    Ok(Some(runs))
}

async fn object_runs(
    job: &Job,
    store: &BucketStore,
    upload: &Upload,
    size: u64,
) -> Result<Vec<ArrivedRun>, media::Error> {
    let staged = job.worker.catalog.staged(upload.id).await.map_err(Failure::from)?;
    let mut runs = store.arrived(upload.id, &staged);
    let tail = |tail| RunPlace::Object(store.tail(upload.id, tail));
    runs.extend(tail_run(upload, size, tail));
    Ok(runs)
}

/// What was sent ahead, from where the bytes end that are durable.
fn tail_run(upload: &Upload, size: u64, place: impl FnOnce(Offset) -> RunPlace) -> Option<ArrivedRun> {
    upload.tail_offset.map(|tail| ArrivedRun {
        place: place(tail),
        from: tail.as_u64().max(upload.durable_offset.as_u64()),
        to: size,
        origin: tail.as_u64(),
    })
}

/// Why there is no view.
enum Unseen {
    /// Something isn't there: a copy of a part that the bucket didn't take, what a part has replaced meanwhile, or a tail that went
    /// when the upload became complete.
    Gone,
    Failed(media::Error),
}

impl Unseen {
    fn of_store(error: BlobError) -> Self {
        match error {
            BlobError::NotFound { .. } => Self::Gone,
            error => Self::Failed(Failure::from(error).into()),
        }
    }

    fn of_reading(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Failed(unreadable(error).into()),
        }
    }
}

fn make(runs: Vec<ArrivedRun>, there: &Arrived, wanted: Wanted, place: Place) -> Result<Sight, media::Error> {
    match look(runs, there, wanted, place) {
        Ok(sight) => Ok(sight),
        Err(Unseen::Gone) => Ok(Sight::NotYet(later(
            there.prefix,
            there.size,
            there.prefix.saturating_add(1),
        ))),
        Err(Unseen::Failed(error)) => Err(error),
    }
}

fn look(runs: Vec<ArrivedRun>, there: &Arrived, wanted: Wanted, place: Place) -> Result<Sight, Unseen> {
    let (of_store, of_reading) = (Unseen::of_store, |error: std::io::Error| Unseen::of_reading(&error));
    let not_yet = |offset: u64| Ok(Sight::NotYet(later(there.prefix, there.size, offset)));
    let (index, media) = match wanted {
        Wanted::Whole => return Ok(Sight::NotYet(ReadyAt::Complete)),
        Wanted::Media { index, ranges } => (Some(index), ranges),
        Wanted::Index => (None, Vec::new()),
    };
    // Of the tail nothing but the index is used.
    if let Some(end) = media
        .iter()
        .map(|range| range.end)
        .max()
        .filter(|end| *end > there.prefix)
    {
        return not_yet(end);
    }
    let bytes = ArrivedBytes::open(runs).map_err(of_store)?;
    let ranges = match layout(&bytes, there).map_err(of_reading)? {
        Layout::Later(offset) => return not_yet(offset),
        Layout::Complete => return Ok(Sight::NotYet(ReadyAt::Complete)),
        Layout::Pieces(end) => return beginning::of(&bytes, end, index, &media, place),
        Layout::Indexed(ranges) => ranges,
    };
    let Some(size) = shown_bytes(&bytes, there).map_err(of_reading)? else {
        return Ok(Sight::NotYet(ReadyAt::Complete));
    };
    let seen = seen(&bytes, ranges).map_err(of_reading)?;
    if index.is_some_and(|planned| planned != seen) {
        return Ok(Sight::NotYet(ReadyAt::Complete));
    }
    let path = place.path;
    let file = beginning::open(&path, 0).and_then(|file| file.set_len(size).map(|()| file));
    let file = file.map_err(|error| Unseen::Failed(unreadable(&error).into()))?;
    for range in seen.ranges.iter().chain(&media) {
        bytes.copy(&file, &path, range.start, range.end).map_err(of_store)?;
    }
    Ok(Sight::Ready(View {
        path,
        index: Some(seen),
        is_beginning: false,
        windows: None,
    }))
}

/// When to look again at the earliest: when so much is needed of a file of which `prefix` is there and which ends at `limit`.
pub(super) fn later(prefix: u64, limit: u64, needed: u64) -> ReadyAt {
    at_offset(needed.max(prefix.saturating_add(prefix / GROWTH_PARTS)), limit)
}

/// When so much is there of a file that ends at `limit`.
pub(super) fn at_offset(offset: u64, limit: u64) -> ReadyAt {
    match i64::try_from(offset) {
        Ok(offset) if offset.unsigned_abs() <= limit => ReadyAt::Offset(Offset(offset)),
        _ => ReadyAt::Complete,
    }
}

/// How long the view of a file is whose index is there. Of unknown length it ends where the last sample does at the earliest; what comes
/// behind is no part of the plan.
fn shown_bytes(bytes: &ArrivedBytes, there: &Arrived) -> std::io::Result<Option<u64>> {
    if there.size == SIZE_UNKNOWN {
        media::bytes_min(there, |at, buffer| bytes.read_exact_at(at, buffer))
    } else {
        Ok(Some(there.size))
    }
}

fn layout(bytes: &ArrivedBytes, there: &Arrived) -> std::io::Result<Layout> {
    media::layout(there, |at, buffer| bytes.read_exact_at(at, buffer))
}

fn seen(bytes: &ArrivedBytes, ranges: Vec<ByteRange>) -> std::io::Result<SeenIndex> {
    let places: Vec<_> = ranges.iter().map(|range| range.start..range.end).collect();
    let digest = bytes.sha256(&places)?;
    let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(SeenIndex { ranges, digest })
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(Reason::StoreUnavailable, format!("the source can't be read: {error}"))
}
