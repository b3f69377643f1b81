//! SHA-256 of a file, and of what names an interrupted upload.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use sha2::{Digest as _, Sha256};

/// How much is read at a time, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// The digest of the whole file, read piece by piece.
pub(crate) async fn of_file(path: PathBuf) -> io::Result<Vec<u8>> {
    tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        let (mut digest, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(digest.finalize().to_vec()),
                read => digest.update(&buffer[..read]),
            }
        }
    })
    .await
    .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The digest of several parts, each with its length, so that no two lists of parts have the same.
pub(crate) fn of_parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}
