//! One attempt: one write stream, from the durable offset to the end of the file or to the first trouble.

use std::{io::SeekFrom, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use reelway::v1;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _},
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Client, Error, Refusal,
    upload::{Activity, Transfer, UploadProgress},
};

/// The bytes of one message. Smaller ones cost more calls; larger ones are hardly faster, and the server has to hold each.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;
/// The most bytes on their way without an acknowledgement. A server acknowledges every few MiB by itself.
const WINDOW_BYTES: u64 = 16 << 20;
/// How many chunks are read ahead of the connection.
const CHUNKS_AHEAD: usize = 4;
/// With the window full for so long, the server is asked to acknowledge.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// A server that takes nothing and says nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Sends everything from `from` on and gives the complete upload back.
pub(crate) async fn send<R>(client: &Client, transfer: &mut Transfer<'_, R>, from: u64) -> Result<v1::Upload, Error>
where
    R: AsyncRead + AsyncSeek + Unpin,
{
    let progress = transfer.progress;
    progress.send_replace(UploadProgress {
        size_bytes: transfer.size_bytes,
        durable_bytes: from,
        sent_bytes: from,
        activity: Activity::Sending,
    });
    transfer.file.seek(SeekFrom::Start(from)).await?;
    let (chunks, requests) = mpsc::channel(CHUNKS_AHEAD);
    let mut answers = pin!(receive(client, requests, progress));
    tokio::select! {
        answered = &mut answers => answered,
        sent = write(transfer, from, chunks) => {
            sent?;
            answers.await
        }
    }
}

/// Reads the file and queues its chunks, never more than the window ahead of the durable offset.
async fn write<R>(
    transfer: &mut Transfer<'_, R>,
    from: u64,
    chunks: mpsc::Sender<v1::StreamUploadRequest>,
) -> Result<(), Error>
where
    R: AsyncRead + Unpin,
{
    let mut window = Window {
        durable: transfer.progress.subscribe(),
        chunks,
    };
    let mut upload_id = transfer.upload_id.clone();
    let mut offset = from;
    loop {
        let data = next_chunk(transfer, offset).await?;
        let end = offset + data.len() as u64;
        let finish = end == transfer.size_bytes;
        if finish && transfer.file.read(&mut [0]).await? > 0 {
            return Err(Error::FileChanged {
                expected_bytes: transfer.size_bytes,
            });
        }
        let chunk = v1::UploadChunk {
            // Only the first message of a stream has to name the upload.
            upload_id: std::mem::take(&mut upload_id),
            offset: wire_offset(offset),
            crc32c: Some(crc32c::crc32c(&data)),
            data,
            flush: false,
            finish,
            ..v1::UploadChunk::default()
        };
        if window.push(chunk, end).await.is_err() {
            // The stream is over; what the server said about it comes from the other side.
            return Ok(());
        }
        transfer.progress.send_modify(|p| p.sent_bytes = end);
        if finish {
            return Ok(());
        }
        offset = end;
    }
}

/// The next chunk, full unless it is the last one.
async fn next_chunk<R>(transfer: &mut Transfer<'_, R>, offset: u64) -> Result<Bytes, Error>
where
    R: AsyncRead + Unpin,
{
    let left = transfer.size_bytes.saturating_sub(offset);
    let wanted = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut data = BytesMut::with_capacity(wanted);
    while data.len() < wanted {
        let room = (wanted - data.len()) as u64;
        if (&mut *transfer.file).take(room).read_buf(&mut data).await? == 0 {
            return Err(Error::FileChanged {
                expected_bytes: transfer.size_bytes,
            });
        }
    }
    Ok(data.freeze())
}

/// The way into the stream, open as far as the acknowledgements allow.
struct Window {
    durable: watch::Receiver<UploadProgress>,
    chunks: mpsc::Sender<v1::StreamUploadRequest>,
}

/// Nobody reads the stream any more.
struct Closed;

impl Window {
    async fn push(&mut self, chunk: v1::UploadChunk, end: u64) -> Result<(), Closed> {
        if timeout(FLUSH_AFTER, self.open_until(end)).await.is_err() {
            let flush = v1::UploadChunk {
                offset: chunk.offset,
                flush: true,
                ..Default::default()
            };
            self.queue(flush).await?;
            self.open_until(end).await;
        }
        self.queue(chunk).await
    }

    async fn open_until(&mut self, end: u64) {
        // The sender outlives this: the caller of the upload holds it.
        let _ = self.durable.wait_for(|p| end <= p.durable_bytes + WINDOW_BYTES).await;
    }

    async fn queue(&self, chunk: v1::UploadChunk) -> Result<(), Closed> {
        self.chunks
            .send(v1::StreamUploadRequest { chunk: Some(chunk) })
            .await
            .map_err(|_| Closed)
    }
}

/// Opens the stream and takes in acknowledgements until the server ends it.
async fn receive(
    client: &Client,
    requests: mpsc::Receiver<v1::StreamUploadRequest>,
    progress: &watch::Sender<UploadProgress>,
) -> Result<v1::Upload, Error> {
    let mut uploads = client.uploads.clone();
    let requests = client.request(ReceiverStream::new(requests));
    let opened = heard(progress, uploads.stream_upload(requests)).await?;
    let mut answers = opened?.into_inner();
    let mut last = None;
    while let Some(answer) = heard(progress, answers.message()).await?? {
        let durable = answer.durable_offset.unsigned_abs();
        progress.send_modify(|p| p.durable_bytes = p.durable_bytes.max(durable));
        last = answer.upload.or(last);
    }
    match last {
        Some(upload) if upload.state() != v1::UploadState::Receiving => Ok(upload),
        _ => Err(Refusal::cut().into()),
    }
}

/// Waits for the server, unless nothing at all moves. Once everything is sent the wait has no limit: the server may be
/// reading the whole file to verify it, and a dead connection is found by its keepalive.
async fn heard<T>(progress: &watch::Sender<UploadProgress>, answer: impl Future<Output = T>) -> Result<T, Error> {
    let mut answer = pin!(answer);
    loop {
        let sent_bytes = progress.borrow().sent_bytes;
        if let Ok(answer) = timeout(SILENCE_MAX, &mut answer).await {
            return Ok(answer);
        }
        let now = progress.borrow();
        if now.sent_bytes == sent_bytes && now.sent_bytes < now.size_bytes {
            return Err(Refusal::silence(SILENCE_MAX).into());
        }
    }
}

/// An offset as the contract writes it.
fn wire_offset(offset: u64) -> i64 {
    // No accepted upload length comes near the end of an i64.
    i64::try_from(offset).unwrap_or(i64::MAX)
}
