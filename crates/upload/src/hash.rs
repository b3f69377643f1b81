//! The digest of what one writer writes, so that a file that arrives in one go needn't be read again.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of everything from the start of the file on.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningHash(Sha256);

impl RunningHash {
    /// Takes the next bytes, away from the threads that serve sockets. `None` if the runtime goes down meanwhile.
    pub(crate) async fn update(self, data: Bytes) -> Option<Self> {
        let work = move || Self(self.0.chain_update(&data));
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// The digest of all that was taken.
    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The digest as people write it.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
