//! A file that is uploaded on as many streams as it takes.

use std::ops::Range;

use bytes::Bytes;
use rand::{Rng as _, rngs::StdRng};
use reelway::v1::{self, upload_service_client::UploadServiceClient};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::harness::System;

type Uploads = UploadServiceClient<Channel>;

/// A file that a client uploads, and what the client was told about it.
pub(super) struct File {
    request_id: String,
    pub(super) data: Bytes,
    preset: &'static str,
    knows_length: bool,
    has_digest: bool,
    pub(super) upload_id: Option<String>,
    /// The highest offset that the server has acknowledged.
    acked: i64,
}

impl File {
    /// Bytes that a client sends as it likes, and what is to be made of them.
    pub(super) fn of(data: Bytes, preset: &'static str, random: &mut StdRng) -> Self {
        Self {
            request_id: Uuid::from_u128(random.random()).to_string(),
            data,
            preset,
            knows_length: random.random(),
            has_digest: random.random(),
            upload_id: None,
            acked: 0,
        }
    }

    /// A part of a block of noise, of a length in a range.
    pub(super) fn part_of(noise: &Bytes, bytes: Range<usize>, random: &mut StdRng) -> Self {
        let size = random.random_range(bytes);
        let start = random.random_range(0..noise.len() - size);
        Self::of(noise.slice(start..start + size), "none", random)
    }

    fn size(&self) -> i64 {
        i64::try_from(self.data.len()).expect("a length")
    }

    /// Sends what the server lacks, to the end or until the connection breaks.
    pub(super) async fn go_on(&mut self, uploads: &mut Uploads, random: &mut StdRng) -> Result<(), Status> {
        let upload = self.stand(uploads).await?;
        assert!(
            upload.durable_offset >= self.acked,
            "{} was acknowledged: {upload:?}",
            self.acked
        );
        if upload.state() == v1::UploadState::Complete {
            return Ok(());
        }
        assert_eq!(upload.state(), v1::UploadState::Receiving, "{upload:?}");
        let (chunks, requests) = mpsc::channel(4);
        let (sent, received) = tokio::join!(
            send(upload, self.data.clone(), random, chunks),
            receive(uploads, requests, &mut self.acked)
        );
        let (Ok(()) | Err(Broken)) = sent;
        let upload = received?;
        assert_eq!(upload.state(), v1::UploadState::Complete, "{upload:?}");
        assert_eq!(self.acked, self.size());
        Ok(())
    }

    /// Where the upload stands. A create call that a kill left without an answer is made again with the same request id.
    async fn stand(&mut self, uploads: &mut Uploads) -> Result<v1::Upload, Status> {
        if let Some(upload_id) = self.upload_id.clone() {
            let answer = uploads
                .get_upload(v1::GetUploadRequest {
                    upload_id,
                    end_writer: false,
                })
                .await?
                .into_inner();
            return Ok(answer.upload.expect("an upload"));
        }
        let expected_sha256 = if self.has_digest {
            Sha256::digest(&self.data).to_vec()
        } else {
            Vec::new()
        };
        let request = v1::CreateUploadRequest {
            size_bytes: self.knows_length.then(|| self.size()),
            expected_sha256: expected_sha256.into(),
            request_id: self.request_id.clone(),
            preset: self.preset.to_owned(),
            ..Default::default()
        };
        let upload = uploads
            .create_upload(request)
            .await?
            .into_inner()
            .upload
            .expect("an upload");
        self.upload_id = Some(upload.id.clone());
        Ok(upload)
    }

    /// The server says that the upload is complete, and what it stored is the file.
    pub(super) async fn is_whole(&self, system: &System, uploads: &mut Uploads) {
        let upload_id = self.upload_id.clone().expect("it was created");
        let upload = uploads
            .get_upload(v1::GetUploadRequest {
                upload_id: upload_id.clone(),
                end_writer: false,
            })
            .await;
        let upload = upload.expect("an answer").into_inner().upload.expect("an upload");
        assert_eq!(upload.state(), v1::UploadState::Complete);
        assert_eq!(
            (upload.durable_offset, upload.size_bytes),
            (self.size(), Some(self.size()))
        );
        assert!(
            system.stored(&upload_id) == self.data,
            "{upload_id} is not what was sent"
        );
    }
}

/// The other side of the stream is gone.
struct Broken;

/// Sends from the durable offset on: chunks of many sizes, some of them to be made durable at once.
async fn send(
    upload: v1::Upload,
    data: Bytes,
    random: &mut StdRng,
    chunks: mpsc::Sender<v1::StreamUploadRequest>,
) -> Result<(), Broken> {
    let mut from = usize::try_from(upload.durable_offset).expect("an offset");
    loop {
        let end = data.len().min(from + random.random_range(1..512 << 10));
        let piece = data.slice(from..end);
        let finish = end == data.len();
        let chunk = v1::UploadChunk {
            upload_id: upload.id.clone(),
            offset: i64::try_from(from).expect("an offset"),
            crc32c: random.random::<bool>().then(|| crc32c::crc32c(&piece)),
            data: piece,
            flush: random.random_ratio(1, 8),
            finish,
            ..Default::default()
        };
        chunks
            .send(v1::StreamUploadRequest { chunk: Some(chunk) })
            .await
            .map_err(|_| Broken)?;
        if finish {
            return Ok(());
        }
        from = end;
    }
}

/// Takes in acknowledgements until the stream ends. They never go back.
async fn receive(
    uploads: &mut Uploads,
    requests: mpsc::Receiver<v1::StreamUploadRequest>,
    acked: &mut i64,
) -> Result<v1::Upload, Status> {
    let mut answers = uploads.stream_upload(ReceiverStream::new(requests)).await?.into_inner();
    let mut last = None;
    while let Some(answer) = answers.message().await? {
        assert!(
            answer.durable_offset >= *acked,
            "the offset went back from {acked} to {}",
            answer.durable_offset
        );
        *acked = answer.durable_offset;
        last = answer.upload.or(last);
    }
    Ok(last.expect("the last answer has the upload"))
}
