//! Waiting for conditions.

use std::time::Duration;

use tokio::task::JoinHandle;

/// Longer than anything takes here, unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn patient<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    patient(async {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while !is_so().await {
            look.tick().await;
        }
    })
    .await;
}

/// Spawned, so that it goes on while the test does something else.
pub(crate) fn beside<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}
