//! One StreamUpload call.

use reelway::v1::{self, UploadChunk};
use reelway_domain::Failure;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::Streaming;

use super::{Node, failure, patient};

/// One StreamUpload call as its client sees it.
pub(crate) struct Stream {
    messages: Option<mpsc::Sender<v1::StreamUploadRequest>>,
    answers: Streaming<v1::StreamUploadResponse>,
}

impl Stream {
    /// Begins with this chunk and reads the first answer.
    pub(crate) async fn open(node: &Node, first: UploadChunk) -> (Self, v1::Upload) {
        Self::try_open(node, first).await.unwrap()
    }

    /// As [`Self::open`], where somebody else may be faster.
    pub(crate) async fn try_open(node: &Node, first: UploadChunk) -> Result<(Self, v1::Upload), Failure> {
        let (messages, receiver) = mpsc::channel(8);
        let answers = node.client.clone().stream_upload(ReceiverStream::new(receiver)).await;
        let mut stream = Self {
            messages: Some(messages),
            answers: answers.map_err(failure)?.into_inner(),
        };
        stream.send(first).await;
        let begin = stream.answer().await.unwrap()?;
        Ok((stream, begin.upload.expect("the first answer has the upload")))
    }

    pub(crate) async fn send(&self, chunk: UploadChunk) {
        let message = v1::StreamUploadRequest { chunk: Some(chunk) };
        // A stream that the server has ended takes nothing any more; what it said is in the answers.
        let _ = self.messages.as_ref().unwrap().send(message).await;
    }

    /// Another handle of the client's side, which stays open until both are closed.
    pub(crate) fn sender(&self) -> mpsc::Sender<v1::StreamUploadRequest> {
        self.messages.clone().unwrap()
    }

    /// Ends the client's side.
    pub(crate) fn close(&mut self) {
        self.messages = None;
    }

    pub(crate) async fn answer(&mut self) -> Option<Result<v1::StreamUploadResponse, Failure>> {
        let answer = patient(self.answers.next()).await;
        answer.map(|answer| answer.map_err(failure))
    }

    /// The last answer with the upload, or the failure, after all answers that are still to come.
    pub(crate) async fn end(&mut self) -> Result<v1::Upload, Failure> {
        let mut last = None;
        while let Some(answer) = self.answer().await {
            last = Some(answer?);
        }
        Ok(last
            .and_then(|answer| answer.upload)
            .expect("the last answer has the upload"))
    }
}
