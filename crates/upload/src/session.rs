//! One write stream, from its first message to its end. Both write RPCs are this.

use std::{sync::Arc, time::Duration};

use reelway::v1::UploadChunk;
use reelway_auth::Identity;
use reelway_catalog::Upload;
use reelway_domain::{Failure, Reason, UploadId};
use reelway_rpc::{
    request::{require_id, violation},
    to_status,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status};

use crate::{
    answers::Answers,
    declare::{check_same, check_size},
    ended::{DURABLE_OFFSET, Stopped, asked_to_end, shutting_down},
    intake::{Intake, Piece, Then, too_large},
    open::Access,
    registry::Seat,
    server::Shared,
    writer::Writer,
};

/// Pieces of one upload that are in memory, at most: one that is being written and one that waits.
const PIECES_MAX: usize = 2;
/// How long a client that is answered only at the end may go on sending what is not needed any more.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// One write stream.
pub(crate) struct Session<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Identity,
    /// The client's messages. A message without a chunk is `None`.
    pub(crate) chunks: S,
    pub(crate) answers: Answers,
}

/// Why no more is taken from a client, other than that it has ended its side.
enum Cut {
    /// It hears of a failure.
    Refused(Failure),
    /// Its connection broke, or what it sent is not a message.
    Broken(Status),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl<S> Session<S>
where
    S: Stream<Item = Result<Option<UploadChunk>, Status>> + Unpin,
{
    /// Runs the stream to its end. What arrived is durable then, whatever the end is, unless the stream is atomic.
    pub(crate) async fn run(mut self) -> Result<Upload, Status> {
        match self.write().await {
            Ok(upload) => {
                self.drain().await;
                Ok(upload)
            }
            Err(Cut::Refused(failure)) => Err(to_status(&failure)),
            Err(Cut::Broken(status)) => Err(status),
        }
    }

    async fn write(&mut self) -> Result<Upload, Cut> {
        let Self {
            shared,
            caller,
            chunks,
            answers,
        } = self;
        // Without any message there is no upload id either.
        let first = next(chunks, shared, None).await?.unwrap_or_default();
        let id = require_id::<UploadId>("chunk.upload_id", &first.upload_id)?;
        check_size(first.size_bytes)?;
        let (mut writer, seat) = match shared.open(caller, id).await? {
            Access::Complete(upload) => {
                first.size_bytes.map_or(Ok(()), |size| check_same(&upload, size))?;
                return Ok(upload);
            }
            Access::Granted(writer, seat) => (writer, seat),
        };
        let strict = first.strict;
        answers.begin(&writer.row);
        let (cut, written) = tokio::select! {
            biased;
            // The store keeps a write that is under way here apart from those of the successor.
            () = seat.fenced() => (Ok(()), Err(Stopped::Fenced)),
            both = pump(&mut writer, &seat, first, chunks, answers) => both,
        };
        let upload = match written {
            Ok(()) => writer.row.clone(),
            Err(stopped) => {
                let told = shared.told_writer(&writer.row, stopped).await;
                told.map_err(|failure| placed(failure, &writer))?
            }
        };
        match cut {
            Ok(()) => Ok(upload),
            Err(Cut::Refused(failure))
                if strict && failure.reason == Reason::SizeExceeded && writer.row.size.is_some() =>
            {
                let stopped = writer.fail(failure).await;
                let told = shared.told_writer(&writer.row, stopped).await;
                told.map_err(|failure| placed(failure, &writer).into())
            }
            Err(Cut::Refused(failure)) => Err(placed(failure, &writer).into()),
            Err(broken) => Err(broken),
        }
    }

    /// Reads out what a client still sends for an upload that is done: many clients don't look for an answer before
    /// they have sent everything, and some take an early one for a broken call.
    async fn drain(&mut self) {
        if matches!(self.answers, Answers::AtEnd) {
            let rest = async { while let Some(Ok(_)) = self.chunks.next().await {} };
            // A client that sends on and on is answered all the same.
            let _ = timeout(DRAIN_MAX, rest).await;
        }
    }
}

/// Takes chunks in and writes them, both at once.
async fn pump<S>(
    writer: &mut Writer,
    seat: &Seat,
    first: UploadChunk,
    chunks: &mut S,
    answers: &Answers,
) -> (Result<(), Cut>, Result<(), Stopped>)
where
    S: Stream<Item = Result<Option<UploadChunk>, Status>> + Unpin,
{
    let shared = Arc::clone(&writer.shared);
    if let Some(size) = first.size_bytes
        && let Err(stopped) = writer.declare(size).await
    {
        writer.let_go().await;
        return (Ok(()), Err(stopped));
    }
    writer.atomic = first.atomic;
    // Reading ahead makes one upload faster; many uploads keep the machine busy without it, and in less memory.
    let ahead = shared.reading_ahead.try_acquire();
    let rooms = Arc::new(Semaphore::new(if ahead.is_ok() { PIECES_MAX } else { 1 }));
    let (pieces, arriving) = mpsc::channel(PIECES_MAX);
    let intake = Intake::new(writer.row.id, writer.row.size, writer.row.durable_offset).atomic(first.atomic);
    let (cut, written) = tokio::join!(
        feed(intake, first, Inlet { chunks, seat }, Outlet { pieces, rooms }, &shared),
        writer.run(arriving, answers)
    );
    if written.is_ok() {
        writer.let_go().await;
    }
    (cut, written)
}

/// Where chunks come from, as long as nobody else is to go on.
struct Inlet<'a, S> {
    chunks: &'a mut S,
    seat: &'a Seat,
}

/// Where pieces go. Each has room until it is written.
struct Outlet {
    pieces: mpsc::Sender<(Piece, OwnedSemaphorePermit)>,
    rooms: Arc<Semaphore>,
}

/// Hands on what arrives until the client or the file ends, or the writer stops.
async fn feed<S>(
    mut intake: Intake,
    first: UploadChunk,
    inlet: Inlet<'_, S>,
    outlet: Outlet,
    shared: &Shared,
) -> Result<(), Cut>
where
    S: Stream<Item = Result<Option<UploadChunk>, Status>> + Unpin,
{
    let Outlet { pieces, rooms } = outlet;
    let mut first = Some(first);
    // There is no next room once the semaphore is closed, which nobody does.
    while let Ok(room) = Arc::clone(&rooms).acquire_owned().await {
        // A crash may have come between the last byte and the completion.
        let mut piece = intake.whole();
        if piece.is_none() {
            // Room first: what has no place yet stays in the connection, and its window tells the client to wait.
            let chunk = match first.take() {
                Some(chunk) => chunk,
                None => tokio::select! {
                    biased;
                    () = pieces.closed() => return Ok(()),
                    next = next(inlet.chunks, shared, Some(inlet.seat)) => match next? {
                        Some(chunk) => chunk,
                        None => return Ok(()),
                    },
                },
            };
            piece = intake.accept(chunk)?;
        }
        let Some(piece) = piece else { continue };
        let is_last = matches!(piece.then, Then::Finish(_));
        // A piece with room has a place in the channel. If the writer has stopped, it says why.
        if pieces.send((piece, room)).await.is_err() || is_last {
            break;
        }
    }
    Ok(())
}

/// The next chunk; `None` when the client has ended its side.
async fn next<S>(chunks: &mut S, shared: &Shared, seat: Option<&Seat>) -> Result<Option<UploadChunk>, Cut>
where
    S: Stream<Item = Result<Option<UploadChunk>, Status>> + Unpin,
{
    let asked = async {
        match seat {
            Some(seat) => seat.asked().await,
            None => std::future::pending().await,
        }
    };
    let arrived = tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => return Err(shutting_down().into()),
        () = asked => return Err(asked_to_end().into()),
        arrived = timeout(shared.settings.idle_max, chunks.next()) => arrived,
    };
    match arrived {
        Ok(None) => Ok(None),
        Ok(Some(Ok(Some(chunk)))) => Ok(Some(chunk)),
        Ok(Some(Ok(None))) => Err(Failure::invalid(vec![violation("chunk", "must be set")]).into()),
        // The transport says so of a message over the limit, before it reads it.
        Ok(Some(Err(status))) if status.code() == Code::OutOfRange => Err(too_large().into()),
        Ok(Some(Err(status))) => Err(Cut::Broken(status)),
        Err(_) => {
            let message = "nothing arrived for too long; what came is kept";
            Err(Failure::new(Reason::StreamIdle, message).into())
        }
    }
}

/// A failure with where the client can go on. Only what is durable is told.
fn placed(failure: Failure, writer: &Writer) -> Failure {
    let durable = writer.row.durable_offset;
    let failure = match failure.reason {
        Reason::OffsetMismatch => failure.with("expectedOffset", durable),
        _ => failure,
    };
    if failure.metadata.contains_key(DURABLE_OFFSET) {
        failure
    } else {
        failure.with(DURABLE_OFFSET, durable)
    }
}
