//! What clients send.

use bytes::Bytes;
use reelway::v1::{self, UploadChunk};

/// A chunk of the upload.
pub(crate) fn chunk(upload: &v1::Upload, offset: usize, data: impl Into<Bytes>) -> UploadChunk {
    UploadChunk {
        upload_id: upload.id.clone(),
        offset: i64::try_from(offset).unwrap(),
        data: data.into(),
        ..Default::default()
    }
}

pub(crate) fn flush(chunk: UploadChunk) -> UploadChunk {
    UploadChunk { flush: true, ..chunk }
}

pub(crate) fn finish(chunk: UploadChunk) -> UploadChunk {
    UploadChunk { finish: true, ..chunk }
}

/// Bytes that differ everywhere.
pub(crate) fn content(length: usize) -> Bytes {
    (0..length.div_ceil(4))
        .flat_map(|i| u32::try_from(i).unwrap().wrapping_mul(2_654_435_761).to_le_bytes())
        .take(length)
        .collect::<Vec<u8>>()
        .into()
}

/// All of `content` from `begin` on, in chunks of this size.
pub(crate) fn chunks(upload: &v1::Upload, content: &Bytes, begin: usize, chunk_bytes: usize) -> Vec<UploadChunk> {
    let offsets = (begin..content.len()).step_by(chunk_bytes);
    offsets
        .map(|at| chunk(upload, at, content.slice(at..content.len().min(at + chunk_bytes))))
        .collect()
}
