//! The tail: of a film whose index stands at its end, the end is sent first, so that work can begin with the first bytes.

use std::{
    io::{self, SeekFrom},
    time::Duration,
};

use bytes::BytesMut;
use reelway::v1;
use reelway_domain::limits;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{Client, Error, Refusal, calls, movie, stream::CHUNK_BYTES};

/// How many messages are read ahead of the connection.
const MESSAGES_AHEAD: usize = 4;
/// A server that takes nothing or says nothing for so long gets no tail: the file is more important.
const SILENCE_MAX: Duration = Duration::from_secs(10);

impl Client {
    /// Sends the end of a file ahead of the rest if its index is there, and the upload has no tail yet. Gives whether it has one
    /// now. It only makes things faster: whatever fails here, the file can be sent all the same.
    ///
    /// # Errors
    /// [`Error::Read`] if the file can't be read, [`Error::Refused`] if the server doesn't take it, also because it is an older one.
    pub async fn put_tail<R>(&self, upload: &v1::Upload, file: &mut R, size_bytes: u64) -> Result<bool, Error>
    where
        R: AsyncRead + AsyncSeek + Unpin,
    {
        if upload.tail_offset.is_some() {
            return Ok(true);
        }
        let is_wanted = upload.state() == v1::UploadState::Receiving && upload.size_bytes.is_some();
        let index = if is_wanted {
            movie::index_at_end(file, size_bytes).await?
        } else {
            None
        };
        let useful = index
            .filter(|from| size_bytes - from <= limits::TAIL_BYTES_MAX && upload.durable_offset.unsigned_abs() < *from);
        let Some(from) = useful else {
            return Ok(false);
        };
        let (messages, requests) = mpsc::channel(MESSAGES_AHEAD);
        let mut uploads = self.uploads.clone();
        let call = uploads.put_upload_tail(self.request(ReceiverStream::new(requests)));
        let answering = async {
            let answered = call.await;
            Ok::<_, Error>(answered?.into_inner())
        };
        let mut answering = std::pin::pin!(answering);
        let answer = tokio::select! {
            answer = &mut answering => answer?,
            read = send(&upload.id, file, from, messages) => {
                read?;
                timeout(SILENCE_MAX, answering).await.map_err(|_| Refusal::silence(SILENCE_MAX))??
            }
        };
        calls::present(answer.upload).map(|upload| upload.tail_offset.is_some())
    }
}

/// Queues everything from `from` to the end of the file.
async fn send<R>(
    upload_id: &str,
    file: &mut R,
    from: u64,
    messages: mpsc::Sender<v1::PutUploadTailRequest>,
) -> Result<(), Error>
where
    R: AsyncRead + AsyncSeek + Unpin,
{
    file.seek(SeekFrom::Start(from)).await?;
    let mut upload_id = upload_id.to_owned();
    let mut offset = i64::try_from(from).map_err(io::Error::other)?;
    loop {
        let mut data = BytesMut::with_capacity(CHUNK_BYTES);
        while data.len() < CHUNK_BYTES && file.read_buf(&mut data).await? > 0 {}
        if data.is_empty() {
            return Ok(());
        }
        let next = offset + i64::try_from(data.len()).map_err(io::Error::other)?;
        let message = v1::PutUploadTailRequest {
            upload_id: std::mem::take(&mut upload_id),
            offset,
            data: data.freeze(),
        };
        offset = next;
        let sent = timeout(SILENCE_MAX, messages.send(message)).await;
        if sent.map_err(|_| Refusal::silence(SILENCE_MAX))?.is_err() {
            // The call has ended, and its answer says why.
            return Ok(());
        }
    }
}
