//! Uploading past the server: parts go straight into its store's bucket, several at once, by plain HTTP.
//!
//! The server says which parts are due, and what counts of those that were put there; so whatever breaks, asking it again tells where to
//! go on. Nothing of this is kept here.

use std::{io::SeekFrom, path::Path, time::Duration};

use futures_util::{StreamExt as _, stream};
use reelway::v1;
use reqwest::{
    Body,
    header::{CONTENT_LENGTH, ETAG},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::watch,
};
use tokio_util::io::ReaderStream;

use crate::{
    Client, Error, UploadProgress,
    retry::Backoff,
    upload::{Activity, is_complete},
};

/// Parts on their way at the same time.
const PARTS_IN_FLIGHT: usize = 4;
/// How much of a part is in memory at once, in bytes.
const READ_BYTES: usize = 256 << 10;
/// A store that takes nothing for so long is away.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the server may take to verify a whole file.
const COMPLETE_MAX: Duration = Duration::from_secs(3600);

/// One upload on its way.
struct Direct<'a> {
    client: &'a Client,
    http: reqwest::Client,
    path: &'a Path,
    upload_id: String,
    size_bytes: u64,
    progress: &'a watch::Sender<UploadProgress>,
}

impl Client {
    /// Puts what an upload still lacks of a file straight into the bucket, and gives the complete upload back. At most four parts
    /// are on their way; they are read from the file as they are sent.
    ///
    /// # Errors
    /// [`Error::Refused`] with `DIRECT_UNAVAILABLE` if the server has no bucket that takes this; nothing was sent then, and
    /// [`Client::upload_file`] does it. [`Error::Bucket`] if the bucket refuses. Others as [`Client::upload`].
    pub async fn upload_direct(
        &self,
        mut upload: v1::Upload,
        path: &Path,
        progress: &watch::Sender<UploadProgress>,
    ) -> Result<v1::Upload, Error> {
        let size_bytes = File::open(path).await?.metadata().await?.len();
        if let Some(expected_bytes) = upload.size_bytes.map(i64::unsigned_abs)
            && expected_bytes != size_bytes
        {
            return Err(Error::FileChanged { expected_bytes });
        }
        let http = reqwest::Client::builder().read_timeout(SILENCE_MAX).build();
        let direct = Direct {
            client: self,
            http: http.map_err(|error| Error::Bucket(without_url(error)))?,
            path,
            upload_id: upload.id.clone(),
            size_bytes,
            progress,
        };
        let (mut writer_epoch, mut backoff) = (None, Backoff::new(self.policy));
        while !is_complete(&upload)? {
            let begin = progress.borrow().durable_bytes;
            let sent = direct.send_batch(&mut writer_epoch).await;
            if progress.borrow().durable_bytes > begin {
                backoff.reset();
            }
            match sent {
                Ok(now) => upload = now,
                Err(error) => direct.pause(error, &mut backoff).await?,
            }
        }
        progress.send_modify(|p| (p.durable_bytes, p.sent_bytes, p.size_bytes) = (size_bytes, size_bytes, size_bytes));
        Ok(upload)
    }
}

impl Direct<'_> {
    /// Puts the parts that are due next, and completes the upload if there are none.
    async fn send_batch(&self, writer_epoch: &mut Option<i64>) -> Result<v1::Upload, Error> {
        let request = v1::CreateUploadPartsRequest {
            upload_id: self.upload_id.clone(),
            writer_epoch: *writer_epoch,
            ..v1::CreateUploadPartsRequest::default()
        };
        let due = match self.client.create_upload_parts(request).await {
            // Another run of this client, or another server's repeated call, has completed it.
            Err(Error::Refused(refusal)) if refusal.reason == "UPLOAD_COMPLETE" => {
                let request = v1::GetUploadRequest {
                    upload_id: self.upload_id.clone(),
                    end_writer: false,
                };
                return self.client.get_upload(request).await;
            }
            due => due?,
        };
        let epoch = due.writer_epoch;
        *writer_epoch = Some(epoch);
        let mut upload = crate::calls::present(due.upload)?;
        self.advance(&upload);
        if due.parts.is_empty() {
            // Completing is writing: if it comes to nothing, somebody new goes on.
            *writer_epoch = None;
            return self.complete().await;
        }
        let (mut puts, mut failed) = (
            stream::iter(due.parts.into_iter().map(|part| self.put_and_report(part, epoch)))
                .buffer_unordered(PARTS_IN_FLIGHT),
            None,
        );
        // The others go on if one fails: what they bring counts.
        while let Some(put) = puts.next().await {
            match put {
                Ok(now) if now.durable_offset > upload.durable_offset => {
                    self.advance(&now);
                    upload = now;
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(upload), Err)
    }

    async fn put_and_report(&self, part: v1::UploadPart, writer_epoch: i64) -> Result<v1::Upload, Error> {
        let etag = self.put(&part).await?;
        let request = v1::ReportUploadPartsRequest {
            upload_id: self.upload_id.clone(),
            writer_epoch,
            parts: vec![v1::UploadedPart {
                number: part.number,
                etag,
            }],
        };
        let answer = self.client.report_upload_parts(request).await?;
        crate::calls::present(answer.upload)
    }

    /// Puts a part into the bucket, and gives what the store calls it.
    async fn put(&self, part: &v1::UploadPart) -> Result<String, Error> {
        let (from, bytes) = (part.offset.unsigned_abs(), part.size_bytes.unsigned_abs());
        let mut file = File::open(self.path).await?;
        if file.metadata().await?.len() != self.size_bytes {
            let expected_bytes = self.size_bytes;
            return Err(Error::FileChanged { expected_bytes });
        }
        file.seek(SeekFrom::Start(from)).await?;
        let body = ReaderStream::with_capacity(file.take(bytes), READ_BYTES);
        let sent = self
            .http
            .put(&part.url)
            .header(CONTENT_LENGTH, bytes)
            .body(Body::wrap_stream(body))
            .send()
            .await
            .map_err(|error| Error::Bucket(without_url(error)))?;
        let status = sent.status();
        if !status.is_success() {
            return Err(Error::Bucket(format!("it answered {status} to part {}", part.number)));
        }
        self.progress
            .send_modify(|p| p.sent_bytes = (p.sent_bytes + bytes).min(p.size_bytes));
        let etag = sent.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| Error::Bucket("it answered without an ETag".to_owned()))?;
        Ok(etag.to_owned())
    }

    /// All parts count. The server reads the whole file if it has a digest to verify, so this call has a deadline of its own.
    async fn complete(&self) -> Result<v1::Upload, Error> {
        let mut request = self.client.request(v1::CompleteUploadRequest {
            upload_id: self.upload_id.clone(),
            size_bytes: i64::try_from(self.size_bytes).unwrap_or(i64::MAX),
        });
        request.set_timeout(COMPLETE_MAX);
        let answer = self.client.uploads.clone().complete_upload(request).await?;
        crate::calls::present(answer.into_inner().upload)
    }

    fn advance(&self, upload: &v1::Upload) {
        let durable_bytes = upload.durable_offset.unsigned_abs();
        self.progress.send_modify(|p| {
            p.durable_bytes = p.durable_bytes.max(durable_bytes);
            p.sent_bytes = p.sent_bytes.max(durable_bytes);
            p.activity = Activity::Sending;
        });
    }

    async fn pause(&self, error: Error, backoff: &mut Backoff) -> Result<(), Error> {
        let (reason, message) = (error.reason().to_owned(), error.to_string());
        let pause = backoff.after(error)?;
        let retries = backoff.retries();
        tracing::debug!(upload.id = self.upload_id, reason, retries, "upload interrupted");
        self.progress.send_modify(|p| {
            p.activity = Activity::Waiting {
                retries,
                reason,
                message,
            }
        });
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// What went wrong, without the URL: who sees it may write the part.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
