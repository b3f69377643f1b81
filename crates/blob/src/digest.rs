//! The digest of a whole upload.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use reelway_domain::Offset;
use sha2::{Digest as _, Sha256};

use crate::{BlobError, error::Tried as _, task::blocking};

/// How much is read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// How much is read by one blocking task. Between two of them a caller that has gone away stops the work.
const PIECE_BYTES: u64 = 64 << 20;

struct Progress {
    hasher: Sha256,
    buffer: Vec<u8>,
    position: u64,
}

/// The SHA-256 of the first `size` bytes.
pub(crate) async fn sha256(path: PathBuf, size: Offset) -> Result<[u8; 32], BlobError> {
    let size = size.as_u64();
    let path = Arc::new(path);
    let opening = Arc::clone(&path);
    let file = Arc::new(blocking(move || File::open(&*opening).tried("open", &opening)).await?);
    let mut progress = Progress {
        hasher: Sha256::new(),
        buffer: vec![0; BUFFER_BYTES],
        position: 0,
    };
    while progress.position < size {
        let (file, source) = (Arc::clone(&file), Arc::clone(&path));
        let end = size.min(progress.position + PIECE_BYTES);
        progress = blocking(move || progress.read_until(end, &file, &source)).await?;
        if progress.position < end {
            return Err(BlobError::Short {
                path: path.to_path_buf(),
                have: progress.position,
                expected: size,
            });
        }
    }
    Ok(progress.hasher.finalize().into())
}

impl Progress {
    /// Reads on, up to `end` or the end of the file.
    fn read_until(mut self, end: u64, file: &File, path: &Path) -> Result<Self, BlobError> {
        while self.position < end {
            let want = usize::try_from(end - self.position)
                .unwrap_or(usize::MAX)
                .min(BUFFER_BYTES);
            match file.read_at(&mut self.buffer[..want], self.position) {
                Ok(0) => break,
                Ok(got) => {
                    self.hasher.update(&self.buffer[..got]);
                    self.position += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).tried("read", path),
            }
        }
        Ok(self)
    }
}
