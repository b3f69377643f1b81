//! One request body, appended to an upload: what tus and the IETF draft have in common.
//!
//! The body is handed on as it arrives, so memory is a constant, and to its last byte also after the connection was cut. An end
//! of the stream comes from either side: the body ends, or the service refuses, is taken over or goes down.
//!
//! The stream begins with a message without bytes. It makes this request the only writer, and the answer to it tells where the
//! upload stands: only then it is known whether the body belongs there, and a body that doesn't isn't even read.

mod arriving;
mod digest;
mod feed;
mod stream;

use reelway::v1::{Upload, UploadState};
use reelway_domain::{Failure, Reason};
use tonic::Status;
use tracing::Instrument as _;

pub(crate) use arriving::{Arrived, Arriving};
pub(crate) use digest::{Algorithm, Expected};

use crate::{Edge, caller::Caller};
use feed::Feed;

/// The key under which a failure tells how much is durable, in bytes.
pub(crate) const DURABLE_OFFSET: &str = "durableOffset";

/// Where the bytes of a body belong.
#[derive(Debug, Default)]
pub(crate) struct Append {
    /// The upload.
    pub(crate) upload_id: String,
    /// Where the body begins; must be the durable offset.
    pub(crate) offset: i64,
    /// The length of the upload, if it is named only now.
    pub(crate) size: Option<i64>,
    /// The last byte of the body is the last of the upload.
    pub(crate) is_last: bool,
    /// More than the upload's length fails it.
    pub(crate) strict: bool,
    /// What the body must be for anything of it to count.
    pub(crate) expected: Option<Expected>,
}

/// Appends a body; gives the upload as it is then. Goes on if the caller is dropped: what arrived is not lost.
///
/// # Errors
/// `OFFSET_MISMATCH` if the body doesn't begin where the upload ends, `SIZE_EXCEEDED` if it goes past the upload's end,
/// `UPLOAD_NOT_WRITABLE` if the upload is put together from others, `STREAM_IDLE` if the body came too slowly,
/// `CHUNK_CHECKSUM_MISMATCH` if it is not what was expected, and what the service refuses with. [`DURABLE_OFFSET`] is in the
/// metadata where it is known.
pub(crate) async fn append(
    edge: &Edge,
    caller: &Caller,
    append: Append,
    body: impl Into<Arriving>,
) -> Result<Upload, Failure> {
    let (edge, caller) = (edge.clone(), caller.clone());
    let arriving = body.into().idle_at_most(edge.settings.body_idle_max);
    let running = tokio::spawn(async move { run(&edge, &caller, append, arriving).await }.in_current_span());
    let ended = running.await;
    ended.unwrap_or_else(|error| {
        Err(Failure::new(
            Reason::Internal,
            format!("an append did not end: {error}"),
        ))
    })
}

async fn run(edge: &Edge, caller: &Caller, append: Append, mut arriving: Arriving) -> Result<Upload, Failure> {
    let (sender, answers, upload) = stream::open(&edge.upstream, caller, &append).await?;
    check_place(append.offset, &upload)?;
    let mut feed = Feed::new(&append, &upload, edge.settings.upload_bytes_max);
    let (outcome, last) = if upload.state() == UploadState::Complete {
        // Nobody takes anything any more, but the body may be wrong all the same.
        (feed.run(&mut arriving, None).await, Ok(upload))
    } else {
        answers.beside(upload, feed.run(&mut arriving, Some(sender))).await
    };
    match (outcome, last) {
        (Ok(()), Ok(upload)) => Ok(upload),
        (Err(failure), Ok(upload)) => Err(placed(failure, &upload)),
        (_, Err(failure)) => {
            if failure.reason == Reason::WriterSuperseded {
                // Its client is on another connection by now, and this one is to end.
                arriving.abandon();
            }
            Err(failure)
        }
    }
}

/// Whether the body belongs at the end of what is there.
pub(crate) fn check_place(offset: i64, upload: &Upload) -> Result<(), Failure> {
    if !upload.part_upload_ids.is_empty() {
        let message = "the upload is put together from others and can't be written";
        return Err(Failure::new(Reason::UploadNotWritable, message).with("uploadId", &upload.id));
    }
    if offset != upload.durable_offset {
        return Err(misplaced(offset, upload));
    }
    Ok(())
}

/// A body doesn't belong at this offset.
fn misplaced(offset: i64, upload: &Upload) -> Failure {
    let message = "the body doesn't begin where the upload ends; go on from the expected offset";
    let failure = Failure::new(Reason::OffsetMismatch, message)
        .with("offset", offset)
        .with("expectedOffset", upload.durable_offset);
    placed(failure, upload)
}

/// The failure with where the upload stands.
fn placed(failure: Failure, upload: &Upload) -> Failure {
    failure.with(DURABLE_OFFSET, upload.durable_offset)
}

/// What a status of the service means.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn failure(status: Status) -> Failure {
    reelway_rpc::from_status(&status).unwrap_or_else(|| {
        tracing::warn!(%status, "a service didn't answer");
        Failure::new(
            Reason::ServiceUnavailable,
            "a service behind this server doesn't answer; try again",
        )
    })
}
