//! One `StreamUpload` call, driven by hand.

use std::time::Duration;

use bytes::Bytes;
use reelway::v1::{self, upload_service_client::UploadServiceClient};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

/// An answer that takes longer isn't coming.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Chunks that wait to be sent.
const WAITING_MAX: usize = 4;

/// A client's end of a write stream.
pub(crate) struct WriteStream {
    upload_id: String,
    /// Where the next chunk belongs.
    at: usize,
    chunks: mpsc::Sender<v1::StreamUploadRequest>,
    answers: Streaming<v1::StreamUploadResponse>,
}

impl WriteStream {
    /// Opens a stream, which takes the upload over from whoever writes it. It goes on from where the server says that the
    /// upload stands.
    ///
    /// # Errors
    /// What the server refuses it with.
    pub(crate) async fn open(uploads: &mut UploadServiceClient<Channel>, upload_id: &str) -> Result<Self, Status> {
        let (chunks, requests) = mpsc::channel(WAITING_MAX);
        // An empty first chunk: it only names the upload.
        send(&chunks, chunk(upload_id, 0, Bytes::new())).await;
        let opened = timeout(ANSWER_MAX, uploads.stream_upload(ReceiverStream::new(requests))).await;
        let mut stream = Self {
            upload_id: upload_id.to_owned(),
            at: 0,
            chunks,
            answers: opened.expect("an answer")?.into_inner(),
        };
        stream.at = usize::try_from(stream.answer().await?.durable_offset).expect("an offset");
        Ok(stream)
    }

    /// Where the next chunk belongs.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Sends bytes without waiting for anything. Whatever is wrong shows up in the answers.
    pub(crate) async fn send(&mut self, data: impl Into<Bytes>) {
        let (data, at) = (data.into(), self.at);
        self.at += data.len();
        send(&self.chunks, chunk(&self.upload_id, at, data)).await;
    }

    /// Sends bytes and asks for them to be made durable at once, without waiting for the answer.
    pub(crate) async fn send_flushed(&mut self, data: impl Into<Bytes>) {
        let (data, at) = (data.into(), self.at);
        self.at += data.len();
        let chunk = v1::UploadChunk {
            flush: true,
            ..chunk(&self.upload_id, at, data)
        };
        send(&self.chunks, chunk).await;
    }

    /// Waits until everything that was sent is acknowledged.
    ///
    /// # Errors
    /// What the stream ended with.
    pub(crate) async fn acked(&mut self) -> Result<(), Status> {
        let at = i64::try_from(self.at).expect("an offset");
        while self.answer().await?.durable_offset < at {}
        Ok(())
    }

    /// Sends the same bytes over and over until an error ends the stream.
    pub(crate) async fn pour(mut self, data: Bytes) -> Status {
        loop {
            let chunk = Some(chunk(&self.upload_id, self.at, data.clone()));
            tokio::select! {
                sent = self.chunks.send(v1::StreamUploadRequest { chunk }) => match sent {
                    Ok(()) => self.at += data.len(),
                    Err(_) => return self.broken().await,
                },
                answer = self.answers.message() => if let Err(status) = answer {
                    return status;
                },
            }
        }
    }

    /// Waits for the error that ends the stream.
    pub(crate) async fn broken(&mut self) -> Status {
        loop {
            if let Err(status) = self.answer().await {
                return status;
            }
        }
    }

    /// Says that this is all, and waits for the complete upload.
    ///
    /// # Errors
    /// What the stream ended with.
    pub(crate) async fn finish(mut self) -> Result<v1::Upload, Status> {
        let chunk = v1::UploadChunk {
            finish: true,
            ..chunk(&self.upload_id, self.at, Bytes::new())
        };
        send(&self.chunks, chunk).await;
        loop {
            if let Some(upload) = self.answer().await?.upload {
                return Ok(upload);
            }
        }
    }

    async fn answer(&mut self) -> Result<v1::StreamUploadResponse, Status> {
        let answer = timeout(ANSWER_MAX, self.answers.message()).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer within {ANSWER_MAX:?}"))?;
        answer.ok_or_else(|| Status::ok("the stream has ended"))
    }
}

fn chunk(upload_id: &str, at: usize, data: Bytes) -> v1::UploadChunk {
    v1::UploadChunk {
        upload_id: upload_id.to_owned(),
        offset: i64::try_from(at).expect("an offset"),
        data,
        ..Default::default()
    }
}

/// A chunk that nobody takes any more is dropped.
async fn send(chunks: &mpsc::Sender<v1::StreamUploadRequest>, chunk: v1::UploadChunk) {
    let _ = chunks.send(v1::StreamUploadRequest { chunk: Some(chunk) }).await;
}
