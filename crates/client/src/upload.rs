//! Resumable upload: whatever breaks, ask the server what it has and go on from there.

use std::{io, path::Path};

use reelway::v1;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncSeek},
    sync::watch,
};

use crate::{
    Client, Error, calls,
    client::Repeat,
    retry::Backoff,
    stream::{self, CHUNK_BYTES},
};

/// How far an upload is. The newest value stands in a watch channel; older ones are of no use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadProgress {
    /// The length of the file, in bytes.
    pub size_bytes: u64,
    /// Everything below this offset is safe on the server.
    pub durable_bytes: u64,
    /// Everything below this offset was handed to the connection. It goes back when the connection breaks.
    pub sent_bytes: u64,
    /// What happens at the moment.
    pub activity: Activity,
}

/// What an upload is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Activity {
    /// Bytes are on their way.
    #[default]
    Sending,
    /// Something broke; another attempt follows after a pause.
    Waiting {
        /// How many attempts in a row have failed without any byte getting through.
        retries: u32,
        /// What broke, as a word to branch on.
        reason: String,
        /// What broke, as a sentence.
        message: String,
    },
}

/// What is sent, whatever happens to the connections.
#[derive(Debug)]
pub(crate) struct Transfer<'a, R> {
    pub(crate) upload_id: String,
    pub(crate) file: &'a mut R,
    pub(crate) size_bytes: u64,
    pub(crate) progress: &'a watch::Sender<UploadProgress>,
}

impl Client {
    /// Sends what an upload still lacks of `file`, which is `size_bytes` long, and gives the complete upload back.
    ///
    /// Attempts that fail are repeated by the [`RetryPolicy`](crate::RetryPolicy), counted anew whenever more of the file
    /// has become durable. Of a film whose index stands at its end, the end is sent first, if the server takes it
    /// ([`Client::put_tail`]). At most 16 MiB are on their way without an acknowledgement, and little more is in memory.
    ///
    /// # Errors
    /// [`Error::FileChanged`] if the file is not as long as the upload, now or in the middle. [`Error::UploadEnded`] if the
    /// upload can't be continued. [`Error::Refused`] with `WRITER_SUPERSEDED` if somebody else writes the same upload, and
    /// with other reasons if the server refuses for good or stays out of reach. [`Error::Read`] if the file can't be read.
    pub async fn upload<R>(
        &self,
        mut upload: v1::Upload,
        file: &mut R,
        size_bytes: u64,
        progress: &watch::Sender<UploadProgress>,
    ) -> Result<v1::Upload, Error>
    where
        R: AsyncRead + AsyncSeek + Unpin,
    {
        if let Some(expected_bytes) = upload.size_bytes.map(i64::unsigned_abs)
            && expected_bytes != size_bytes
        {
            return Err(Error::FileChanged { expected_bytes });
        }
        if let Err(error) = self.put_tail(&upload, file, size_bytes).await {
            tracing::debug!(upload.id = upload.id, %error, "no tail was sent ahead");
        }
        let mut transfer = Transfer {
            upload_id: upload.id.clone(),
            file,
            size_bytes,
            progress,
        };
        let mut backoff = Backoff::new(self.policy);
        while !is_complete(&upload)? {
            let from = upload.durable_offset.unsigned_abs();
            upload = match stream::send(self, &mut transfer, from).await {
                Ok(upload) => upload,
                Err(error) => {
                    if progress.borrow().durable_bytes > from {
                        backoff.reset();
                    }
                    self.standing(&transfer, error, from, &mut backoff).await?
                }
            };
        }
        progress.send_modify(|p| (p.durable_bytes, p.sent_bytes, p.size_bytes) = (size_bytes, size_bytes, size_bytes));
        Ok(upload)
    }

    /// [`Client::upload`] from a file's path. The file is never read as a whole.
    ///
    /// # Errors
    /// As [`Client::upload`].
    pub async fn upload_file(
        &self,
        upload: v1::Upload,
        path: &Path,
        progress: &watch::Sender<UploadProgress>,
    ) -> Result<v1::Upload, Error> {
        let mut file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Err(Error::Read(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            )));
        }
        // Otherwise a chunk takes several trips to the thread that reads.
        file.set_max_buf_size(CHUNK_BYTES);
        self.upload(upload, &mut file, metadata.len(), progress).await
    }

    /// Waits after a failure, and asks until the server tells where the upload stands.
    async fn standing<R>(
        &self,
        transfer: &Transfer<'_, R>,
        mut error: Error,
        from: u64,
        backoff: &mut Backoff,
    ) -> Result<v1::Upload, Error> {
        loop {
            let (reason, message) = (error.reason().to_owned(), error.to_string());
            let pause = backoff.after(error)?;
            let retries = backoff.retries();
            tracing::debug!(upload.id = transfer.upload_id, reason, retries, "upload interrupted");
            transfer.progress.send_modify(|p| {
                p.activity = Activity::Waiting {
                    retries,
                    reason,
                    message,
                }
            });
            tokio::time::sleep(pause).await;
            match self.upload_now(&transfer.upload_id).await {
                Ok(upload) => {
                    if upload.durable_offset.unsigned_abs() > from {
                        backoff.reset();
                    }
                    return Ok(upload);
                }
                Err(next) => error = next,
            }
        }
    }

    /// Asks once; whoever calls counts the attempts.
    async fn upload_now(&self, upload_id: &str) -> Result<v1::Upload, Error> {
        let request = v1::GetUploadRequest {
            upload_id: upload_id.to_owned(),
            end_writer: false,
        };
        let call = |request| {
            let mut uploads = self.uploads.clone();
            async move { uploads.get_upload(request).await }
        };
        let answer = self.call(Repeat::Never, request, call).await?;
        calls::present(answer.upload)
    }
}

/// Whether nothing is left to send.
pub(crate) fn is_complete(upload: &v1::Upload) -> Result<bool, Error> {
    match upload.state() {
        v1::UploadState::Complete => Ok(true),
        v1::UploadState::Receiving => Ok(false),
        v1::UploadState::Unspecified => Err(Error::Contract("the upload has no state")),
        state @ (v1::UploadState::Failed | v1::UploadState::Aborted | v1::UploadState::Expired) => {
            let cause = upload.error.clone().unwrap_or_default();
            let (upload_id, reason, message) = (upload.id.clone(), cause.reason, cause.message);
            Err(Error::UploadEnded {
                upload_id,
                state,
                reason,
                message,
            })
        }
    }
}
