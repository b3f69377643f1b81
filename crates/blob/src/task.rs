//! Blocking work, away from the threads that serve sockets.

use std::{io, path::PathBuf};

use crate::BlobError;

/// Runs `work` on the blocking pool. A panic in it goes on in the caller.
///
/// If the returned future is dropped, work that has begun still runs to its end.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(BlobError::Io {
                operation: "start work on",
                path: PathBuf::from("the store"),
                source: io::Error::other(cancelled),
            }),
        },
    }
}
