//! What a client hears while it writes.

use reelway::v1::StreamUploadResponse;
use reelway_catalog::Upload;
use reelway_domain::{Failure, Offset, Reason};
use tokio::sync::mpsc::{self, OwnedPermit};
use tonic::Status;

use crate::server::Shared;

/// Answers that a client may leave unread before it is made to wait for them.
const UNREAD_MAX: usize = 16;

/// One message of the answering stream, or its end.
pub(crate) type Answer = Result<StreamUploadResponse, Status>;

/// How the client of a stream is answered.
#[derive(Debug)]
pub(crate) enum Answers {
    /// Once, when it has sent everything.
    AtEnd,
    /// Along the way.
    Along(mpsc::Sender<Answer>),
}

/// The place of the last answer, which never has to wait for the client.
#[derive(Debug)]
pub(crate) struct LastAnswer(OwnedPermit<Answer>);

impl Answers {
    /// Answers along the way, and the stream of them.
    pub(crate) fn along() -> (Self, LastAnswer, mpsc::Receiver<Answer>) {
        let (sender, receiver) = mpsc::channel(UNREAD_MAX);
        // The channel is new: it is open and has room.
        let last = sender.clone().try_reserve_owned().expect("a new channel has room");
        (Self::Along(sender), LastAnswer(last), receiver)
    }

    /// Tells what is there before anything is written.
    pub(crate) fn begin(&self, upload: &Upload) {
        self.offer(with_upload(upload));
    }

    /// Tells that more has become durable. If the client doesn't read, a later answer tells it more.
    pub(crate) fn durable(&self, offset: Offset) {
        self.offer(StreamUploadResponse {
            durable_offset: offset.0,
            upload: None,
        });
    }

    /// Tells that a flush is done. Waits for the client to read earlier answers: each flush has its own.
    ///
    /// # Errors
    /// `STREAM_IDLE` if the client doesn't read for so long.
    pub(crate) async fn flushed(&self, offset: Offset, shared: &Shared) -> Result<(), Failure> {
        let Self::Along(sender) = self else { return Ok(()) };
        let answer = StreamUploadResponse {
            durable_offset: offset.0,
            upload: None,
        };
        tokio::select! {
            biased;
            // A client that has gone is noticed where its messages are read.
            _ = sender.send(Ok(answer)) => Ok(()),
            () = shared.shutdown.cancelled() => Ok(()),
            () = tokio::time::sleep(shared.settings.idle_max) => {
                let message = "the answers were not read for too long; what came is kept";
                Err(Failure::new(Reason::StreamIdle, message))
            }
        }
    }

    fn offer(&self, answer: StreamUploadResponse) {
        if let Self::Along(sender) = self {
            let _ = sender.try_send(Ok(answer));
        }
    }
}

impl LastAnswer {
    /// Ends the stream of answers.
    pub(crate) fn send(self, result: Result<Upload, Status>) {
        self.0.send(result.map(|upload| with_upload(&upload)));
    }
}

fn with_upload(upload: &Upload) -> StreamUploadResponse {
    StreamUploadResponse {
        durable_offset: upload.durable_offset.0,
        upload: Some(reelway_view::upload(upload)),
    }
}
