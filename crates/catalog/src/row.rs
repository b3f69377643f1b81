//! Rows as values.

use std::collections::BTreeMap;

use reelway_domain::{
    EventSeq, Failure, FileEpoch, JobEvent, JobId, JobState, Ladder, LeaseEpoch, Offset, RenditionInfo, SourceAction,
    SourceInfo, SourceState, TaskId, TaskKind, TaskState, Tenant, Timestamp, TraceContext, UploadId, UploadKind,
    UploadState, WriterEpoch, WriterId,
};
use serde::de::DeserializeOwned;
use sqlx::{Row as _, any::AnyRow};

use crate::Error;

/// The columns of an [`Upload`], without its parts, which are rows of their own.
pub(crate) const UPLOAD_COLUMNS: &str = "id, tenant, state, file_name, content_type, metadata, size_bytes, durable_offset, \
     writer_epoch, writer, file_epoch, expected_sha256, job_id, error, webhook_url, client_state, kind, tail_offset, source_key, source_state, trace_context, \
     created_at_ms, updated_at_ms, expires_at_ms, completed_at_ms";
/// The columns of a [`Job`].
pub(crate) const JOB_COLUMNS: &str = "id, tenant, upload_id, state, preset, ladder, source, renditions, published_prefix, \
     poster_key, download_key, manifest_name, storyboard_name, priority, source_action, published_segments, error, attempts, missing_frames, \
     event_seq, trace_context, created_at_ms, updated_at_ms, started_at_ms, \
     playable_at_ms, finished_at_ms";
/// The columns of a [`Task`].
pub(crate) const TASK_COLUMNS: &str = "id, job_id, kind, idx, state, pending, ready_at_offset, weight_ms, memory_mib, attempt, \
     attempt_max, lease_epoch, lease_owner, result, error, stderr_tail, created_at_ms, updated_at_ms";
/// The columns of a [`JobEvent`].
pub(crate) const EVENT_COLUMNS: &str = "job_id, seq, tenant_seq, upload_id, change, created_at_ms";
/// The columns of a [`crate::Webhook`], whether it is addressed or not.
pub(crate) const WEBHOOK_COLUMNS: &str = "message_id, url, host, tenant, event, upload_id, job_id, body, attempt, \
     trace_context, created_at_ms, updated_at_ms";

/// A file on its way in, or in.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Where it stands.
    pub state: UploadState,
    /// The name that the client gave; display text only.
    pub file_name: String,
    /// The media type that the client gave.
    pub content_type: String,
    /// The client's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// The length in bytes, once it is known.
    pub size: Option<i64>,
    /// Every byte below is on stable storage.
    pub durable_offset: Offset,
    /// The newest writer.
    pub writer_epoch: WriterEpoch,
    /// The process of the newest writer; `None` if it has ended and can't write any more.
    pub writer: Option<WriterId>,
    /// Which file the newest writer writes. Once the upload is complete, that file holds all of it.
    pub file_epoch: FileEpoch,
    /// The digest that the client promised.
    pub expected_sha256: Option<[u8; 32]>,
    /// The job that was created with it.
    pub job: Option<JobId>,
    /// Who is told what becomes of it, beside the endpoints of the configuration.
    pub webhook_url: Option<String>,
    /// A text of the client's own.
    pub client_state: String,
    /// What it is for.
    pub kind: UploadKind,
    /// What it is put together from, in this order; empty unless it is joined.
    pub parts: Vec<UploadId>,
    /// Where the tail begins that was sent ahead of time.
    pub tail_offset: Option<Offset>,
    /// The object that holds all of it, once it is complete in a bucket.
    pub source_key: Option<String>,
    /// Where its bytes are, once it is complete.
    pub source_state: SourceState,
    /// Why it failed.
    pub error: Option<Failure>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it is removed if nothing more comes.
    pub expires_at: Timestamp,
    /// When it was complete.
    pub completed_at: Option<Timestamp>,
    /// The trace of the call that created it.
    pub trace: Option<TraceContext>,
}

/// The making of streaming video from one upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The source.
    pub upload: UploadId,
    /// Where it stands.
    pub state: JobState,
    /// The preset's name; empty for a ladder of the caller's own.
    pub preset: String,
    /// The ladder in full.
    pub ladder: Ladder,
    /// What the probe found.
    pub source: Option<SourceInfo>,
    /// What is made.
    pub renditions: Vec<RenditionInfo>,
    /// The key prefix of the published playlists.
    pub published_prefix: Option<String>,
    /// The key of the poster.
    pub poster_key: Option<String>,
    /// The key of the file for download.
    pub download_key: Option<String>,
    /// The DASH manifest's name below the published prefix.
    pub manifest_name: Option<String>,
    /// The storyboard's name below the published prefix.
    pub storyboard_name: Option<String>,
    /// From -100 to 100; higher is sooner.
    pub priority: i32,
    /// What becomes of the source when it has succeeded.
    pub source_action: SourceAction,
    /// How many segments the published playlists hold, of all renditions.
    pub published_segments: i64,
    /// Why it failed.
    pub error: Option<Failure>,
    /// How often its tasks were started.
    pub attempts: i64,
    /// Source frames that could not be decoded.
    pub missing_frames: i64,
    /// The number of its last event.
    pub event_seq: EventSeq,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When its first task was started.
    pub started_at: Option<Timestamp>,
    /// When it became playable.
    pub playable_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
    /// The trace of the call that created it.
    pub trace: Option<TraceContext>,
}

/// The unit of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its job.
    pub job: JobId,
    /// What it does.
    pub kind: TaskKind,
    /// Which one of its kind.
    pub index: i32,
    /// Where it stands.
    pub state: TaskState,
    /// Predecessors that are not done.
    pub pending: i64,
    /// The durable offset that it needs; `None`: the whole upload.
    pub ready_at_offset: Option<Offset>,
    /// How much of the source it makes, in milliseconds.
    pub weight_ms: i64,
    /// What it takes of a worker's memory, in MiB, by estimate.
    pub memory_mib: i64,
    /// How often it was started.
    pub attempt: i32,
    /// How often it may be started.
    pub attempt_max: i32,
    /// The fencing number of the newest claim.
    pub lease_epoch: LeaseEpoch,
    /// Who holds the lease.
    pub lease_owner: Option<String>,
    /// What it made, as its kind records it.
    pub result: Option<String>,
    /// Why the last attempt ended, if it did not succeed.
    pub error: Option<Failure>,
    /// The last lines of ffmpeg in the last attempt that did not succeed.
    pub stderr_tail: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Reads columns by name and turns words, ids and JSON into types.
pub(crate) struct Columns<'a>(pub(crate) &'a AnyRow);

impl Columns<'_> {
    pub(crate) fn int(&self, name: &str) -> Result<i64, Error> {
        Ok(self.0.try_get::<i64, _>(name)?)
    }

    pub(crate) fn small(&self, name: &str) -> Result<i32, Error> {
        i32::try_from(self.int(name)?).map_err(|_| Error::Corrupt(format!("{name} is too large")))
    }

    pub(crate) fn int_or_null(&self, name: &str) -> Result<Option<i64>, Error> {
        Ok(self.0.try_get::<Option<i64>, _>(name)?)
    }

    pub(crate) fn time_or_null(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.int_or_null(name)?.map(Timestamp))
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, Error> {
        Ok(self.0.try_get::<String, _>(name)?)
    }

    pub(crate) fn text_or_null(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.0.try_get::<Option<String>, _>(name)?)
    }

    /// A trace is only ever a help: one that can't be read is none.
    pub(crate) fn trace(&self, name: &str) -> Result<Option<TraceContext>, Error> {
        Ok(self.text_or_null(name)?.and_then(|text| text.parse().ok()))
    }

    pub(crate) fn parsed<T>(&self, name: &str) -> Result<T, Error>
    where
        T: std::str::FromStr,
        Error: From<T::Err>,
    {
        Ok(self.text(name)?.parse::<T>()?)
    }

    /// The word in a column, or what its absence means.
    fn parsed_or<T>(&self, name: &str, absent: T) -> Result<T, Error>
    where
        T: std::str::FromStr,
        Error: From<T::Err>,
    {
        Ok(match self.text_or_null(name)? {
            Some(word) => word.parse()?,
            None => absent,
        })
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        Ok(serde_json::from_str(&self.text(name)?)?)
    }

    fn json_or_null<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        Ok(self
            .text_or_null(name)?
            .map(|text| serde_json::from_str(&text))
            .transpose()?)
    }
}

impl TryFrom<&AnyRow> for Upload {
    type Error = Error;

    fn try_from(row: &AnyRow) -> Result<Self, Error> {
        let c = Columns(row);
        let digest = row.try_get::<Option<Vec<u8>>, _>("expected_sha256")?;
        let digest = digest.map(|bytes| {
            bytes
                .try_into()
                .map_err(|_| Error::Corrupt("a digest is not 32 bytes".into()))
        });
        Ok(Self {
            id: c.parsed("id")?,
            tenant: Tenant::stored(c.text("tenant")?),
            state: c.parsed("state")?,
            file_name: c.text("file_name")?,
            content_type: c.text("content_type")?,
            metadata: c.json("metadata")?,
            size: c.int_or_null("size_bytes")?,
            durable_offset: Offset(c.int("durable_offset")?),
            writer_epoch: WriterEpoch(c.int("writer_epoch")?),
            writer: c.text_or_null("writer")?.map(|id| id.parse()).transpose()?,
            file_epoch: FileEpoch(c.int("file_epoch")?),
            expected_sha256: digest.transpose()?,
            job: c.text_or_null("job_id")?.map(|id| id.parse()).transpose()?,
            webhook_url: c.text_or_null("webhook_url")?,
            client_state: c.text("client_state")?,
            kind: c.parsed("kind")?,
            parts: c.json_or_null("part_ids")?.unwrap_or_default(),
            tail_offset: c.int_or_null("tail_offset")?.map(Offset),
            source_key: c.text_or_null("source_key")?,
            source_state: c.parsed_or("source_state", SourceState::Stored)?,
            error: c.json_or_null("error")?,
            created_at: Timestamp(c.int("created_at_ms")?),
            updated_at: Timestamp(c.int("updated_at_ms")?),
            expires_at: Timestamp(c.int("expires_at_ms")?),
            completed_at: c.time_or_null("completed_at_ms")?,
            trace: c.trace("trace_context")?,
        })
    }
}

impl TryFrom<&AnyRow> for Job {
    type Error = Error;

    fn try_from(row: &AnyRow) -> Result<Self, Error> {
        let c = Columns(row);
        Ok(Self {
            id: c.parsed("id")?,
            tenant: Tenant::stored(c.text("tenant")?),
            upload: c.parsed("upload_id")?,
            state: c.parsed("state")?,
            preset: c.text("preset")?,
            ladder: c.json("ladder")?,
            source: c.json_or_null("source")?,
            renditions: c.json("renditions")?,
            published_prefix: c.text_or_null("published_prefix")?,
            poster_key: c.text_or_null("poster_key")?,
            download_key: c.text_or_null("download_key")?,
            manifest_name: c.text_or_null("manifest_name")?,
            storyboard_name: c.text_or_null("storyboard_name")?,
            priority: c.small("priority")?,
            source_action: c.parsed_or("source_action", SourceAction::Keep)?,
            published_segments: c.int("published_segments")?,
            error: c.json_or_null("error")?,
            attempts: c.int("attempts")?,
            missing_frames: c.int("missing_frames")?,
            event_seq: EventSeq(c.int("event_seq")?),
            created_at: Timestamp(c.int("created_at_ms")?),
            updated_at: Timestamp(c.int("updated_at_ms")?),
            started_at: c.time_or_null("started_at_ms")?,
            playable_at: c.time_or_null("playable_at_ms")?,
            finished_at: c.time_or_null("finished_at_ms")?,
            trace: c.trace("trace_context")?,
        })
    }
}

impl TryFrom<&AnyRow> for Task {
    type Error = Error;

    fn try_from(row: &AnyRow) -> Result<Self, Error> {
        let c = Columns(row);
        Ok(Self {
            id: c.parsed::<TaskId>("id")?,
            job: c.parsed("job_id")?,
            kind: c.parsed::<TaskKind>("kind")?,
            index: c.small("idx")?,
            state: c.parsed::<TaskState>("state")?,
            pending: c.int("pending")?,
            ready_at_offset: c.int_or_null("ready_at_offset")?.map(Offset),
            weight_ms: c.int("weight_ms")?,
            memory_mib: c.int("memory_mib")?,
            attempt: c.small("attempt")?,
            attempt_max: c.small("attempt_max")?,
            lease_epoch: LeaseEpoch(c.int("lease_epoch")?),
            lease_owner: c.text_or_null("lease_owner")?,
            result: c.text_or_null("result")?,
            error: c.json_or_null("error")?,
            stderr_tail: c.text("stderr_tail")?,
            created_at: Timestamp(c.int("created_at_ms")?),
            updated_at: Timestamp(c.int("updated_at_ms")?),
        })
    }
}

/// Reads an event row.
pub(crate) fn event(row: &AnyRow) -> Result<JobEvent, Error> {
    let c = Columns(row);
    Ok(JobEvent {
        job: c.parsed("job_id")?,
        upload: c.parsed("upload_id")?,
        seq: EventSeq(c.int("seq")?),
        tenant_seq: EventSeq(c.int("tenant_seq")?),
        at: Timestamp(c.int("created_at_ms")?),
        change: c.json("change")?,
    })
}
