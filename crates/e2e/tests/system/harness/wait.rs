//! Waiting for conditions.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is something, and gives it; panics with `what` if there is nothing after `limit`.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "not within {limit:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// [`within`], for a condition that is true or not.
pub(crate) async fn within_secs(secs: u64, what: &str, mut look: impl AsyncFnMut() -> bool) {
    within(Duration::from_secs(secs), what, async || look().await.then_some(())).await;
}
