//! Uploads over WriteUpload, all bytes from one buffer, so that the client costs as little as it can.

use std::{
    error::Error,
    io::Write as _,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reelway::v1::{CreateUploadRequest, UploadChunk, WriteUploadRequest, upload_service_client::UploadServiceClient};
use tonic::transport::Endpoint;

/// Enough for a GiB on a slow disk.
const DEADLINE: Duration = Duration::from_secs(300);

pub(crate) async fn run(url: String, uploads: usize, mib: usize, message_kib: usize) -> Result<(), Box<dyn Error>> {
    let message = content(message_kib << 10);
    let started_at = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..uploads {
        running.spawn(upload(url.clone(), message.clone(), mib << 20));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let seconds = started_at.elapsed().as_secs_f64();
    let report = serde_json::json!({ "uploads": uploads, "mib": mib, "seconds": seconds });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

/// So many bytes. Not all zeros: a store may not get away with compressing.
pub(crate) fn content(bytes: usize) -> Bytes {
    let numbers = (0..=u8::MAX).cycle().enumerate();
    numbers
        .map(|(i, b)| b ^ (i >> 8).to_le_bytes()[0])
        .take(bytes)
        .collect()
}

async fn upload(url: String, message: Bytes, size: usize) -> Result<(), tonic::Status> {
    let failed = |error: &dyn std::fmt::Display| tonic::Status::unknown(error.to_string());
    let endpoint = Endpoint::from_shared(url)
        .map_err(|error| failed(&error))?
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .timeout(DEADLINE);
    let mut client = UploadServiceClient::new(endpoint.connect().await.map_err(|error| failed(&error))?);
    let size_bytes = i64::try_from(size).map_err(|error| failed(&error))?;
    let request = CreateUploadRequest {
        size_bytes: Some(size_bytes),
        file_name: "bench.bin".into(),
        preset: "none".into(),
        ..CreateUploadRequest::default()
    };
    let created = client.create_upload(request).await?.into_inner().upload;
    let upload_id = created.ok_or_else(|| failed(&"no upload in the answer"))?.id;
    let step = message.len();
    let messages = (0..size.div_ceil(step)).map(move |i| {
        let offset = i * step;
        let length = step.min(size - offset);
        let chunk = UploadChunk {
            upload_id: if i == 0 { upload_id.clone() } else { String::new() },
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data: message.slice(..length),
            finish: offset + length == size,
            ..UploadChunk::default()
        };
        WriteUploadRequest { chunk: Some(chunk) }
    });
    let written = client.write_upload(tokio_stream::iter(messages)).await?.into_inner();
    if written.durable_offset == size_bytes {
        Ok(())
    } else {
        Err(failed(&format!(
            "{} of {size} bytes are durable",
            written.durable_offset
        )))
    }
}
