//! The stream to the upload service, from the side of its client.

use std::pin::pin;

use reelway::v1::{StreamUploadRequest, StreamUploadResponse, Upload, UploadChunk};
use reelway_domain::{Failure, Reason};
use reelway_rpc::send_directly;
use tokio::sync::mpsc;
use tonic::Streaming;

use super::{Append, failure};
use crate::{caller::Caller, upstream::Upstream};

/// Chunks that wait for the service. With the one that it works on this is the memory of an upload.
const AHEAD_MAX: usize = 1;

/// Where chunks go.
pub(super) type Sender = mpsc::Sender<StreamUploadRequest>;

/// What the service says.
pub(super) struct Answers(Streaming<StreamUploadResponse>);

/// Takes the upload over from whoever wrote it, and tells where it stands. A complete one has nothing to write any more.
///
/// # Errors
/// What the service refuses with.
pub(super) async fn open(
    upstream: &Upstream,
    caller: &Caller,
    append: &Append,
) -> Result<(Sender, Answers, Upload), Failure> {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    let first = UploadChunk {
        upload_id: append.upload_id.clone(),
        offset: append.offset,
        atomic: append.expected.is_some(),
        size_bytes: append.size,
        strict: append.strict,
        ..UploadChunk::default()
    };
    // The channel is new and has room.
    let _ = sender.try_send(StreamUploadRequest { chunk: Some(first) });
    let request = send_directly(caller.request(()), receiver);
    let mut answers = upstream
        .uploads()
        .stream_upload(request)
        .await
        .map_err(failure)?
        .into_inner();
    let begin = answers.message().await.map_err(failure)?;
    let upload = begin.and_then(|answer| answer.upload);
    let upload = upload.ok_or_else(|| Failure::new(Reason::Internal, "the service said nothing of the upload"))?;
    Ok((sender, Answers(answers), upload))
}

impl Answers {
    /// Hears the service to its end, while `feeding` sends it chunks. Gives how the feeding went and what the service said last.
    /// Feeding ends early if nobody takes it any more.
    pub(super) async fn beside(
        self,
        begin: Upload,
        feeding: impl Future<Output = Result<(), Failure>>,
    ) -> (Result<(), Failure>, Result<Upload, Failure>) {
        let Self(mut answers) = self;
        let (mut fed, mut told) = (None, begin);
        let mut feeding = pin!(feeding);
        let last = loop {
            tokio::select! {
                answer = answers.message() => match answer {
                    Ok(Some(answer)) => told = answer.upload.unwrap_or(told),
                    Ok(None) => break Ok(told),
                    Err(status) => break Err(failure(status)),
                },
                outcome = &mut feeding, if fed.is_none() => fed = Some(outcome),
            }
        };
        (fed.unwrap_or(Ok(())), last)
    }
}
